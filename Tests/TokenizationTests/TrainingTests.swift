import JSONDocuments
import TestKit
import Testing
import Tokenization

@Suite("training a vocabulary")
struct TrainingTests {
    private static func titles(_ count: Int, _ random: inout SeededRandom) -> [String] {
        let words = (0..<200).map { _ in
            String((0..<2 + random.below(7)).map { _ in Array("aeilnorstmdé")[random.below(12)] })
        }
        return (0..<count).map { _ in
            (0..<1 + random.below(8)).map { _ in words[random.below(200)] }.joined(separator: " ")
        }
    }

    @Test("the order of texts changes nothing, and the vocabulary has the size asked for")
    func deterministic() throws {
        var random = SeededRandom(seed: 1)
        let titles = Self.titles(400, &random)
        var training = BPETraining()
        training.vocabularyCount = 700
        let document = training.train(titles)
        #expect(training.train(titles.shuffled(using: &random)) == document)
        let made = try Tokenizer(parsing: document.serialised(.indented), document: "trained")
        #expect(made.vocabularyCount == 700)
    }

    @Test(
        "an item's tokens: BOS, at most ten of its title, EOI; case and composition do not matter")
    func items() throws {
        var random = SeededRandom(seed: 2)
        let titles = Self.titles(300, &random)
        let document = JSONNode(BPETraining().train(titles), document: "trained")
        let made = try Tokenizer(reading: document)
        let beginning = try #require(made.id(of: "<|bos|>"))
        let end = try #require(made.id(of: "<|eoi|>"))
        for title in titles {
            let tokens = made.encodeFramed(title, contentMax: 10)
            #expect(tokens.first == beginning && tokens.last == end && tokens.count <= 12)
            #expect(made.encode(title.uppercased()) == made.encode(title))
        }
        #expect(made.encode("e\u{301}") == made.encode("é"))
        #expect(made.encodeFramed("") == [beginning, end])
        #expect(made.decode(made.encodeFramed("Never Seen ✓ 東")) == " never seen ✓ 東")
    }

    @Test("the pair counts kept while learning are those of a recount")
    func slowTwin() throws {
        var random = SeededRandom(seed: 3)
        let titles = Self.titles(60, &random) + ["aaaa aaa aaaaaaa", "abababab aabb"]
        var training = BPETraining()
        training.vocabularyCount = 360
        let model = try JSONNode(training.train(titles), document: "x").member("model")
        let merges = try model.member("merges").elements().map {
            try $0.elements().map { try $0.text() }
        }
        let vocabulary = try model.member("vocab").members().map(\.name)
        let number = Dictionary(uniqueKeysWithValues: vocabulary.enumerated().map { ($1, $0) })
        var words = titles.flatMap { $0.split(separator: " ") }.map { word in
            ["Ġ"] + word.utf8.map { Self.character($0) }
        }
        for merge in merges {
            var counts: [[String]: Int] = [:]
            for word in words {
                for pair in zip(word, word.dropFirst()) {
                    counts[[pair.0, pair.1], default: 0] += 1
                }
            }
            let order = { (pair: [String]) in pair.map { number[$0] ?? -1 } }
            let best = counts.max { a, b in
                (a.value, order(b.key)[0], order(b.key)[1])
                    < (b.value, order(a.key)[0], order(a.key)[1])
            }
            #expect(best?.key == merge)
            words = words.map { word in
                var merged: [String] = []
                for part in word {
                    // Greedy from the left; a part just made takes no further one.
                    if part == merge[1], merged.last == merge[0] {
                        merged[merged.count - 1] += "|" + part
                    } else {
                        merged.append(part)
                    }
                }
                return merged.map { $0.split(separator: "|").joined() }
            }
        }
    }

    private static func character(_ byte: UInt8) -> String {
        // The two bytes of é are printable or not: C3 is itself, A9 too.
        String(Character(Unicode.Scalar(byte)))
    }

    @Test("a special token is not learnt from text that spells it")
    func specials() throws {
        var training = BPETraining()
        training.specials = ["<|pad|>", "<|bos|>", "abc"]
        training.end = "abc"
        training.vocabularyCount = 300
        let document = JSONNode(
            training.train(Array(repeating: "abc xabc", count: 9)), document: "x")
        let made = try Tokenizer(reading: document)
        #expect(!made.encode("abc xabc").contains { made.isSpecial($0) })
    }

    @Test("texts that teach nothing leave the bytes")
    func empty() throws {
        let texts = [String(repeating: "x", count: BPETraining.wordBytesMax + 1), "", "ab"]
        let made = try Tokenizer(
            reading: JSONNode(BPETraining().train(texts), document: "x"))
        #expect(made.vocabularyCount == 3 + 256)
    }
}
