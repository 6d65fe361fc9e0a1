// The vocabulary, added tokens and merges of a `tokenizer.json`, checked against each other: every id has one text,
// every merge makes a token, and no merge makes a special one.

import JSONDocuments

struct VocabularyReader {
    struct Added {
        var text: String
        var id: Int32
        var isNormalised: Bool
    }

    var model = BytePairModel()
    /// What each token decodes to, by id; empty for ids that no text has.
    var pieces: [[UInt8]] = []
    var ids: [ExactText: Int32] = [:]
    var added: [Added] = []
    var specials: Set<Int32> = []
    private var isTaken: [Bool] = []
    /// The tokens of the vocabulary that BPE can make, with their bytes.
    private var words: [(bytes: [UInt8], id: Int32)] = []

    private static let ids = 0...Tokenizer.vocabularyCountMax - 1

    private mutating func take(_ text: String, _ node: JSONNode) throws(DocumentError) -> Int32 {
        let id = try node.integer(in: Self.ids)
        guard text.utf8.count <= Tokenizer.tokenBytesMax else {
            throw node.refused("its text has more than \(Tokenizer.tokenBytesMax) bytes")
        }
        while pieces.count <= id {
            pieces.append([])
            isTaken.append(false)
        }
        guard !isTaken[id] else { throw node.refused("token \(id) has two texts") }
        isTaken[id] = true
        ids[ExactText(text)] = Int32(id)
        setPiece(Int32(id), text)
        return Int32(id)
    }

    /// A text outside the alphabet decodes to itself.
    mutating func setPiece(_ id: Int32, _ text: String) {
        pieces[Int(id)] = ByteAlphabet.bytes(of: text) ?? Array(text.utf8)
    }

    mutating func readTokens(_ node: JSONNode) throws(DocumentError) {
        let members = try node.members()
        ids.reserveCapacity(members.count)
        for (text, node) in members {
            let id = try take(text, node)
            guard let bytes = ByteAlphabet.bytes(of: text) else { continue }
            if bytes.count == 1 { model.byteTokens[Int(bytes[0])] = id }
            words.append((bytes, id))
        }
    }

    mutating func readAdded(_ node: JSONNode) throws(DocumentError) {
        for token in try node.elements(countMax: Tokenizer.addedTokensMax) {
            let content = try token.member("content")
            let text = try content.text()
            guard !text.isEmpty else { throw content.refused("an empty added token") }
            for name in ["single_word", "lstrip", "rstrip"] {
                if let flag = try token.optional(name), try flag.flag() {
                    throw flag.refused("not supported")
                }
            }
            let idNode = try token.member("id")
            let id: Int32
            if let known = ids[ExactText(text)] {
                id = Int32(try idNode.integer(in: Self.ids))
                guard id == known else { throw idNode.refused("the vocabulary says \(known)") }
            } else {
                id = try take(text, idNode)
            }
            if try token.optional("special")?.flag() ?? false {
                guard !model.byteTokens.contains(id) else {
                    throw content.refused("a special token that is a single byte of text")
                }
                specials.insert(id)
            }
            let isNormalised = try token.optional("normalized")?.flag() ?? true
            added.append(Added(text: text, id: id, isNormalised: isNormalised))
        }
    }

    mutating func readMerges(_ node: JSONNode) throws(DocumentError) {
        let merges = try node.elements(countMax: Tokenizer.vocabularyCountMax)
        model.merges.reserveCapacity(merges.count)
        for (rank, merge) in merges.enumerated() {
            let (left, right) = try Self.pair(merge)
            guard let leftID = ids[ExactText(left)], let rightID = ids[ExactText(right)],
                let result = ids[ExactText(left + right)]
            else { throw merge.refused("a part or the whole is not in the vocabulary") }
            guard !specials.contains(result) else {
                throw merge.refused("it makes a special token out of text")
            }
            model.merges[BytePairModel.key(leftID, rightID)] = BytePairModel.Merge(
                rank: Int32(rank), result: result)
        }
    }

    /// `"a b"`, or `["a", "b"]` as it has been written since tokens may hold spaces.
    private static func pair(_ node: JSONNode) throws(DocumentError) -> (String, String) {
        if case .array = node.value {
            let parts = try node.elements(countMax: 2)
            guard parts.count == 2 else { throw node.refused("not a pair") }
            return (try parts[0].text(), try parts[1].text())
        }
        let parts = try node.text().split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw node.refused("not two tokens with one space between") }
        return (String(parts[0]), String(parts[1]))
    }

    mutating func collectWholeWords() {
        for (bytes, id) in words where !specials.contains(id) { model.wholeWords[bytes] = id }
    }
}
