// Patterns of PSUBSCRIBE and CONFIG GET. Whatever the pattern, matching ends soon and nothing traps.

/// Patterns as Redis matches them: `*`, `?`, `[abc]`, `[a-z]`, `[^x]`, backslash.
enum Glob {
    static func matches(_ pattern: String, _ text: String) -> Bool {
        matches(Array(pattern.utf8), Array(text.utf8))
    }

    /// One star is remembered at a time, so that the cost is at most the product of the lengths.
    private static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        var at = 0
        var index = 0
        var star: (pattern: Int, text: Int)?
        while index < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                star = (at, index)
                at += 1
            } else if let next = one(pattern, at, text[index]) {
                at = next
                index += 1
            } else if let back = star {
                star = (back.pattern, back.text + 1)
                at = back.pattern + 1
                index = back.text + 1
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// Where the pattern goes on when its element at `at` takes `byte`; nil when it does not.
    private static func one(_ pattern: [UInt8], _ at: Int, _ byte: UInt8) -> Int? {
        guard at < pattern.count else { return nil }
        switch pattern[at] {
        case UInt8(ascii: "?"): return at + 1
        case UInt8(ascii: "["): return set(pattern, at + 1, byte)
        case UInt8(ascii: "\\") where at + 1 < pattern.count:
            return pattern[at + 1] == byte ? at + 2 : nil
        default: return pattern[at] == byte ? at + 1 : nil
        }
    }

    private static func set(_ pattern: [UInt8], _ start: Int, _ byte: UInt8) -> Int? {
        var at = start
        let negated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if negated { at += 1 }
        var found = false
        while at < pattern.count, pattern[at] != UInt8(ascii: "]") {
            if pattern[at] == UInt8(ascii: "\\"), at + 1 < pattern.count { at += 1 }
            if at + 2 < pattern.count, pattern[at + 1] == UInt8(ascii: "-") {
                let bounds = [pattern[at], pattern[at + 2]].sorted()
                if (bounds[0]...bounds[1]).contains(byte) { found = true }
                at += 3
            } else {
                if pattern[at] == byte { found = true }
                at += 1
            }
        }
        return found != negated ? min(at + 1, pattern.count) : nil
    }
}
