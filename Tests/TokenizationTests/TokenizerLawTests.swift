import JSONDocuments
import TestKit
import Testing
import Tokenization

/// Texts that meet every branch of the scanners.
func anyText(_ random: inout SeededRandom) -> String {
    let parts = [
        "a", "Z", "é", "e\u{301}", "東", "\u{1F600}", "1", "23", "½", " ", "  ", "\n", "\r\n", "\t",
        "'s", "'LL", "'", "!", "<|im_end|>", "<tool>", "Tool", "\u{A0}", "\u{17F}", "-", "_", "ab",
    ]
    return (0..<random.below(24)).map { _ in parts[random.below(parts.count)] }.joined()
}

@Suite("laws of a tokenizer")
struct TokenizerLawTests {
    @Test("decoding gives the text back", arguments: ["gpt2", "llama3", "digits"])
    func inverse(style: String) throws {
        let made = try tokenizer(style)
        var random = SeededRandom(seed: 1)
        for _ in 0..<300 {
            let text = anyText(&random)
            for treatment in [Tokenizer.AddedTokens.asText, .recognised] {
                let tokens = made.encode(text, added: treatment)
                #expect(isSameText(made.decode(tokens, skippingSpecials: false), text))
            }
        }
    }

    @Test("text from outside never makes an added token", arguments: GoldenTests.styles)
    func contained(style: String) throws {
        let made = try tokenizer(style)
        var random = SeededRandom(seed: 2)
        for _ in 0..<300 {
            let text = anyText(&random) + "<|im_start|>system\n<|endoftext|>" + anyText(&random)
            #expect(!made.encode(text).contains { made.isSpecial($0) })
            #expect(made.encode(text, added: .recognised).contains { made.isSpecial($0) })
        }
    }

    @Test("at most so many tokens are the first of all", arguments: GoldenTests.styles)
    func prefix(style: String) throws {
        let made = try tokenizer(style)
        var random = SeededRandom(seed: 3)
        for _ in 0..<100 {
            let text = anyText(&random)
            let all = made.encode(text, added: .recognised)
            for count in [0, 1, 3, 10] {
                let some = made.encode(text, added: .recognised, countMax: count)
                #expect(some == Array(all.prefix(count)))
            }
        }
    }

    @Test("a stream, joined, is the whole; what was given out never ends in half a character")
    func streaming() throws {
        let made = try tokenizer("gpt2")
        var random = SeededRandom(seed: 4)
        for round in 0..<400 {
            let tokens =
                round % 2 == 0
                ? made.encode(anyText(&random))
                : (0..<20).map { _ in Int32(random.below(made.vocabularyCount + 5)) }
            var decoder = StreamDecoder(made, skippingSpecials: false)
            var joined: [UInt8] = []
            for token in tokens {
                let piece = decoder.append(token)
                if round % 2 == 0 { #expect(!piece.unicodeScalars.contains("\u{FFFD}")) }
                joined += Array(piece.utf8)
            }
            joined += Array(decoder.finish().utf8)
            let whole = made.decode(tokens, skippingSpecials: false)
            #expect(joined == Array(whole.utf8), "\(tokens)")
        }
    }

    @Test("merging by a queue is merging the earliest pair again and again")
    func slowTwin() throws {
        let bytes = try fixture("tokenizer-gpt2.json")
        let made = try Tokenizer(parsing: bytes, document: "x")
        let slow = try SlowEncoder(JSONNode(parsing: bytes, document: "x"))
        var random = SeededRandom(seed: 5)
        for _ in 0..<300 {
            // Letters only: one word, as long as it likes.
            let letters = Array("abcdeinorstuy")
            let word = String((0..<random.below(40)).map { _ in letters[random.below(13)] })
            #expect(made.encode(word).map { Int($0) } == slow.encode(word), "\(word)")
        }
    }

    @Test("a word of a million bytes takes no square of the time")
    func longWord() throws {
        let made = try tokenizer("gpt2")
        let text = String(repeating: "ab", count: 100_000)
        let tokens = made.encode(text)
        #expect(made.decode(tokens) == text)
    }
}

/// BPE as the paper says it: find the pair learnt first, merge its first place, and begin again.
private struct SlowEncoder {
    var merges: [String: Int] = [:]
    var ids: [String: Int] = [:]

    init(_ root: JSONNode) throws {
        let model = try root.member("model")
        for (index, merge) in try model.member("merges").elements().enumerated() {
            merges[try merge.text()] = index
        }
        for (text, id) in try model.member("vocab").members() {
            ids[text] = try id.integer(in: 0...1_000_000)
        }
    }

    func encode(_ word: String) -> [Int] {
        var parts = word.map(String.init)
        while true {
            let ranked = zip(parts, parts.dropFirst()).enumerated().compactMap { index, pair in
                merges["\(pair.0) \(pair.1)"].map { (rank: $0, index: index) }
            }
            guard let best = ranked.min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) else {
                return parts.map { ids[$0] ?? -1 }
            }
            parts.replaceSubrange(
                best.index...best.index + 1, with: [parts[best.index] + parts[best.index + 1]])
        }
    }
}
