// Learns a byte-level BPE vocabulary from texts and writes it as a `tokenizer.json` (Sennrich et al. 2016; ties as
// Hugging Face's BpeTrainer breaks them: the pair of the lower token numbers first).
//
// Words are counted once; then counts of pairs are kept up to date merge by merge, touching only the words that hold
// the merged pair.

import HeapModule
public import JSONDocuments

/// What is to be learnt.
public struct BPETraining: Sendable {
    /// Tokens in all: special ones, 256 bytes, and merges while there are pairs.
    public var vocabularyCount = 4_000
    public var isLowercase = true
    /// Pairs seen more rarely than this are not merged.
    public var pairCountMin = 2
    /// Special tokens, numbered from 0 in this order.
    public var specials = ["<|pad|>", "<|bos|>", "<|eoi|>"]
    /// What frames each text; both are of `specials`.
    public var beginning = "<|bos|>"
    public var end = "<|eoi|>"

    /// Longer words (texts without spaces) are not learnt from.
    public static let wordBytesMax = 256
    /// Words beyond so many different ones are not learnt from, unless they were met before.
    public static let wordsMax = 4_000_000

    public init() {}

    /// Learns from `texts`; returns a `tokenizer.json`. The same texts in any order give the same document, as long as
    /// there are at most `wordsMax` words.
    public func train(_ texts: some Sequence<String>) -> JSONValue {
        precondition(
            vocabularyCount >= specials.count + 256
                && vocabularyCount <= Tokenizer.vocabularyCountMax,
            "a vocabulary holds the special tokens and 256 bytes at least")
        precondition(specials.contains(beginning) && specials.contains(end), "special tokens")
        var learner = PairLearner(specials: specials)
        for (word, count) in countedWords(texts) { learner.add(word, count: count) }
        learner.learn(tokens: vocabularyCount - specials.count, countMin: max(pairCountMin, 1))
        return document(learner)
    }

    private func countedWords(_ texts: some Sequence<String>) -> [[UInt8]: Int] {
        let splitter = PreTokenizer(pattern: .gpt2, addsPrefixSpace: true)
        var words: [[UInt8]: Int] = [:]
        for text in texts {
            splitter.split(normalizers.reduce(text) { $1.normalise($0) }) { word in
                guard word.count <= Self.wordBytesMax else { return true }
                let word = Array(word)
                if words.count < Self.wordsMax || words[word] != nil {
                    words[word, default: 0] += 1
                }
                return true
            }
        }
        return words
    }

    private var normalizers: [Normalizer] { isLowercase ? [.nfc, .lowercase] : [.nfc] }

    private func document(_ learner: PairLearner) -> JSONValue {
        let steps = normalizers.map { step -> JSONValue in
            .members(["type": .string(step == .nfc ? "NFC" : "Lowercase")])
        }
        let byteLevel = JSONValue.members([
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
        ])
        let vocabulary = (specials + learner.texts).enumerated().map {
            JSONMember($1, .integer(Int64($0)))
        }
        let merges = learner.merges.map { pair -> JSONValue in
            .array([.string(learner.text(pair.left)), .string(learner.text(pair.right))])
        }
        return .members([
            "version": "1.0",
            "truncation": .null,
            "padding": .null,
            "added_tokens": .array(specials.enumerated().map { added($1, id: $0) }),
            "normalizer": .members(["type": "Sequence", "normalizers": .array(steps)]),
            "pre_tokenizer": byteLevel,
            "post_processor": frame,
            "decoder": byteLevel,
            "model": .members([
                "type": "BPE", "dropout": .null, "unk_token": .null,
                "continuing_subword_prefix": .null, "end_of_word_suffix": .null,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": .object(vocabulary), "merges": .array(merges),
            ]),
        ])
    }

    private func added(_ text: String, id: Int) -> JSONValue {
        .members([
            "id": .integer(Int64(id)), "content": .string(text), "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": true,
        ])
    }

    private var frame: JSONValue {
        func special(_ text: String, _ type: Int64) -> JSONValue {
            .members(["SpecialToken": .members(["id": .string(text), "type_id": .integer(type)])])
        }
        func sequence(_ name: String, _ type: Int64) -> JSONValue {
            .members(["Sequence": .members(["id": .string(name), "type_id": .integer(type)])])
        }
        let one = [special(beginning, 0), sequence("A", 0), special(end, 0)]
        let other = [special(beginning, 1), sequence("B", 1), special(end, 1)]
        let used = specials.enumerated().filter { $1 == beginning || $1 == end }
        let table = used.map { index, text in
            JSONMember(
                text,
                .members([
                    "id": .string(text), "ids": .array([.integer(Int64(index))]),
                    "tokens": .array([.string(text)]),
                ]))
        }
        return .members([
            "type": "TemplateProcessing", "single": .array(one), "pair": .array(one + other),
            "special_tokens": .object(table),
        ])
    }
}

/// Words as tokens, counts of their pairs, and the merges learnt so far.
private struct PairLearner {
    struct Pair: Hashable {
        var left: Int32
        var right: Int32
    }

    private struct Occurrences {
        var count = 0
        /// Words that held the pair when it was counted; some may have lost it, some are listed twice.
        var words: [Int32] = []
    }

    private struct Candidate: Comparable {
        var count: Int
        var pair: Pair

        /// More frequent is greater; among equals, the lower token numbers.
        static func < (a: Candidate, b: Candidate) -> Bool {
            (a.count, b.pair.left, b.pair.right) < (b.count, a.pair.left, a.pair.right)
        }
    }

    private let specials: [String]
    private let firstID: Int32
    private(set) var texts: [String] = []
    private(set) var merges: [Pair] = []
    private var idOfByte = [Int32](repeating: 0, count: 256)
    private var words: [(tokens: [Int32], count: Int)] = []
    private var pairs: [Pair: Occurrences] = [:]

    /// Bytes are numbered by their characters in the alphabet, as BpeTrainer does it.
    init(specials: [String]) {
        self.specials = specials
        firstID = Int32(specials.count)
        let order = (0..<256).sorted { ByteAlphabet.scalars[$0] < ByteAlphabet.scalars[$1] }
        for (rank, byte) in order.enumerated() {
            idOfByte[byte] = firstID + Int32(rank)
            texts.append(String(Character(ByteAlphabet.scalars[byte])))
        }
    }

    func text(_ token: Int32) -> String { texts[Int(token - firstID)] }

    mutating func add(_ word: [UInt8], count: Int) {
        words.append((word.map { idOfByte[Int($0)] }, count))
        countPairs(of: words.count - 1, sign: 1) { _ in true }
    }

    /// Adds or takes away the pairs of a word, and lists the word with those that `isListed` says.
    private mutating func countPairs(of word: Int, sign: Int, _ isListed: (Pair) -> Bool) {
        let (tokens, count) = words[word]
        for (left, right) in zip(tokens, tokens.dropFirst()) {
            let pair = Pair(left: left, right: right)
            pairs[pair, default: Occurrences()].count += sign * count
            if isListed(pair) {
                pairs[pair, default: Occurrences()].words.append(Int32(word))
            }
        }
    }

    mutating func learn(tokens: Int, countMin: Int) {
        var heap = Heap(pairs.map { Candidate(count: $1.count, pair: $0) })
        // Text must not come to spell a special token, so none of these is learnt.
        var idOfText: [ExactText: Int32?] = [:]
        for text in specials { idOfText[ExactText(text)] = .some(nil) }
        for (index, text) in texts.enumerated() {
            idOfText[ExactText(text)] = firstID + Int32(index)
        }
        while texts.count < tokens, var best = heap.popMax() {
            let count = pairs[best.pair]?.count ?? 0
            guard count >= countMin else { continue }
            if count != best.count {
                // Counted down since; a count that went up has an entry of its own.
                guard count < best.count else { continue }
                best.count = count
                heap.insert(best)
                continue
            }
            let whole = text(best.pair.left) + text(best.pair.right)
            let next = firstID + Int32(texts.count)
            guard let id = idOfText[ExactText(whole)] ?? next else { continue }
            if id == next {
                texts.append(whole)
                idOfText[ExactText(whole)] = id
            }
            merges.append(best.pair)
            merge(best.pair, into: id, &heap)
        }
    }

    private mutating func merge(_ pair: Pair, into id: Int32, _ heap: inout Heap<Candidate>) {
        let touched = Set(pairs[pair]?.words ?? [])
        var grown: Set<Pair> = []
        for word in touched {
            let index = Int(word)
            countPairs(of: index, sign: -1) { _ in false }
            words[index].tokens = Self.merged(words[index].tokens, pair, into: id)
            countPairs(of: index, sign: 1) { changed in
                guard changed.left == id || changed.right == id else { return false }
                grown.insert(changed)
                return true
            }
        }
        pairs[pair] = nil
        for pair in grown {
            heap.insert(Candidate(count: pairs[pair]?.count ?? 0, pair: pair))
        }
    }

    private static func merged(_ tokens: [Int32], _ pair: Pair, into id: Int32) -> [Int32] {
        var result: [Int32] = []
        result.reserveCapacity(tokens.count)
        var index = 0
        while index < tokens.count {
            if index + 1 < tokens.count, tokens[index] == pair.left,
                tokens[index + 1] == pair.right
            {
                result.append(id)
                index += 2
            } else {
                result.append(tokens[index])
                index += 1
            }
        }
        return result
    }
}
