// The laws of every parser over its seeds, their prefixes and a few hundred damaged copies; `make fuzz` goes on for as
// long as one likes.

import FuzzLaws
import TestKit
import Testing

@Suite("parsers of foreign bytes")
struct FuzzTests {
    @Test("keep their laws on valid input and on its beginnings", arguments: FuzzTarget.all)
    func prefixes(target: FuzzTarget) throws {
        for seed in target.seeds {
            try target.check(seed)
            let stride = max(1, seed.count / 40)
            for end in Swift.stride(from: 0, to: seed.count, by: stride) {
                try target.check(Array(seed[..<end]))
            }
        }
    }

    @Test("keep their laws on damaged input", arguments: FuzzTarget.all)
    func damage(target: FuzzTarget) throws {
        var random = SeededRandom(seed: 20)
        for _ in 0..<200 {
            let bytes = random.damaged(target.seeds[random.below(target.seeds.count)])
            do { try target.check(bytes) } catch {
                Issue.record("\(target): \(error)\ninput: \(bytes)")
                return
            }
        }
    }
}

extension SeededRandom {
    /// A copy with a few bytes changed, left out, doubled or put in.
    fileprivate mutating func damaged(_ seed: [UInt8]) -> [UInt8] {
        var bytes = seed
        for _ in 0..<(1 + below(4)) {
            let at = below(bytes.count + 1)
            let rest = bytes.count - at
            switch below(5) {
            case 0 where rest > 0: bytes[at] = UInt8(below(256))
            case 1 where rest > 0: bytes[at] ^= 1 << UInt8(below(8))
            case 2: bytes.removeSubrange(at..<(at + min(rest, below(8))))
            case 3:
                let copied = bytes[at..<(at + min(rest, below(16)))]
                bytes.insert(contentsOf: copied, at: below(bytes.count + 1))
            default: bytes.insert(UInt8(below(256)), at: at)
            }
        }
        return bytes
    }
}
