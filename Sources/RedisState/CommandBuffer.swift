// Commands as the bytes that travel (RESP arrays of bulk strings), one after the other in one buffer that is used
// again.
//
// Building them here costs one copy per argument; an argv for hiredis would cost a pointer, a length and a lifetime
// for each, and a commit has thousands.

/// A pipeline of encoded commands.
struct CommandBuffer {
    private(set) var bytes: [UInt8] = []
    private(set) var commandCount = 0
    private var argumentsDue = 0

    var isEmpty: Bool { bytes.isEmpty }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytesMax)
        commandCount = 0
    }

    /// A buffer that grew beyond this by one huge commit is given back.
    private static let keptBytesMax = 16 << 20

    /// Begins a command of this many words; exactly as many `add` calls must follow.
    mutating func begin(_ wordCount: Int) {
        precondition(argumentsDue == 0 && wordCount > 0, "the command before lacks words")
        header(UInt8(ascii: "*"), wordCount)
        argumentsDue = wordCount
        commandCount += 1
    }

    /// A whole command of few words.
    mutating func command(_ words: String...) {
        begin(words.count)
        for word in words { add(word) }
    }

    mutating func add(_ word: String) {
        header(UInt8(ascii: "$"), word.utf8.count)
        bytes.append(contentsOf: word.utf8)
        end()
    }

    mutating func add(_ word: [UInt8]) {
        header(UInt8(ascii: "$"), word.count)
        bytes.append(contentsOf: word)
        end()
    }

    mutating func add(_ number: some BinaryInteger) { add(String(number)) }

    private mutating func end() {
        precondition(argumentsDue > 0, "the command has more words than it announced")
        argumentsDue -= 1
        bytes.append(13)
        bytes.append(10)
    }

    /// `mark`, the number in decimal, CR LF.
    private mutating func header(_ mark: UInt8, _ number: Int) {
        bytes.append(mark)
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
        bytes.append(13)
        bytes.append(10)
    }
}
