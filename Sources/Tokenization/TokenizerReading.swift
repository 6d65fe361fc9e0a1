// `tokenizer.json` to a Tokenizer. What would change the tokens and is not understood is refused by name; truncation
// and padding, which concern batches, are not applied.

public import JSONDocuments

extension Tokenizer {
    /// Reads the bytes of a `tokenizer.json`.
    public init(parsing bytes: [UInt8], document: String) throws(DocumentError) {
        try self.init(reading: try JSONNode(parsing: bytes, document: document))
    }

    /// Reads a parsed `tokenizer.json`.
    public init(reading root: JSONNode) throws(DocumentError) {
        if let node = try root.optional("normalizer") {
            normalizers = try Self.normalizers(node)
        }
        preTokenizer = try Self.preTokenizer(root.member("pre_tokenizer"))
        try Self.checkDecoder(root.member("decoder"))
        var vocabulary = VocabularyReader()
        let model = try root.member("model")
        try Self.checkModel(model)
        try vocabulary.readTokens(model.member("vocab"))
        if let node = try root.optional("added_tokens") { try vocabulary.readAdded(node) }
        try vocabulary.readMerges(model.member("merges"))
        let ignoresMerges = try model.optional("ignore_merges")?.flag() ?? false
        if ignoresMerges { vocabulary.collectWholeWords() }
        if let node = try model.optional("unk_token"), vocabulary.model.byteTokens.contains(-1) {
            throw node.refused("a token for unknown bytes is not supported; all 256 are needed")
        }
        self.model = vocabulary.model
        ids = vocabulary.ids
        added.specials = vocabulary.specials
        for token in vocabulary.added {
            if token.isNormalised {
                // Found in normalised text, and decoded to what was found.
                let text = normalizers.reduce(token.text) { $1.normalise($0) }
                added.normalised.add(text, token.id)
                vocabulary.setPiece(token.id, text)
            } else {
                added.raw.add(token.text, token.id)
            }
        }
        pieces = PieceTable(vocabulary.pieces)
        if let node = try root.optional("post_processor") { try readPostProcessor(node) }
    }

    private static func normalizers(_ node: JSONNode) throws(DocumentError) -> [Normalizer] {
        let type = try node.member("type")
        switch try type.text() {
        case "NFC": return [.nfc]
        case "Lowercase": return [.lowercase]
        case "Sequence":
            var all: [Normalizer] = []
            for step in try node.member("normalizers").elements(countMax: 16) {
                all += try normalizers(step)
            }
            return all
        default: throw type.refused("this normalizer is not supported; NFC and Lowercase are")
        }
    }

    private static func preTokenizer(_ node: JSONNode) throws(DocumentError) -> PreTokenizer {
        let steps: [JSONNode]
        if try node.member("type").text() == "Sequence" {
            steps = try node.member("pretokenizers").elements(countMax: 16)
        } else {
            steps = [node]
        }
        var isolatesDigits = false
        var pattern: PreTokenizer.Pattern?
        for (index, step) in steps.enumerated() {
            let type = try step.member("type")
            switch try type.text() {
            case "Digits" where pattern == nil:
                isolatesDigits = try step.optional("individual_digits")?.flag() ?? false
                guard isolatesDigits else { throw step.refused("only individual digits are split") }
            case "Split" where pattern == nil && !isolatesDigits:
                pattern = try splitPattern(step)
            case "ByteLevel" where index == steps.count - 1:
                let addsSpace = try step.optional("add_prefix_space")?.flag() ?? true
                let usesExpression = try step.optional("use_regex")?.flag() ?? true
                guard usesExpression == (pattern == nil), !(addsSpace && steps.count > 1) else {
                    throw step.refused("this combination of splits is not supported")
                }
                return PreTokenizer(
                    pattern: pattern ?? .gpt2, addsPrefixSpace: addsSpace,
                    isolatesDigits: isolatesDigits)
            default:
                throw type.refused("this pre-tokenizer is not supported at this place")
            }
        }
        throw node.refused("there is no ByteLevel step: only byte-level BPE is supported")
    }

    private static func splitPattern(_ step: JSONNode) throws(DocumentError) -> PreTokenizer.Pattern
    {
        let behaviour = try step.member("behavior")
        guard try behaviour.text() == "Isolated" else { throw behaviour.refused("not Isolated") }
        if let invert = try step.optional("invert"), try invert.flag() {
            throw invert.refused("inverted splits are not supported")
        }
        let node = try step.member("pattern").member("Regex")
        let expression = try node.text()
        let known = PreTokenizer.known.first { isSameText($0.expression, expression) }
        guard let known else {
            throw node.refused(
                "no scanner for the expression \(expression); known are those of GPT-2, Llama 3 and Qwen"
            )
        }
        return known.pattern
    }

    private static func checkDecoder(_ node: JSONNode) throws(DocumentError) {
        let type = try node.member("type")
        guard try type.text() == "ByteLevel" else {
            throw type.refused("this decoder is not supported; ByteLevel is")
        }
    }

    private static func checkModel(_ model: JSONNode) throws(DocumentError) {
        if let type = try model.optional("type"), try type.text() != "BPE" {
            throw type.refused("this model is not supported; BPE is")
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let node = try model.optional(name), try !node.text().isEmpty {
                throw node.refused("not supported in byte-level BPE")
            }
        }
        if let node = try model.optional("byte_fallback"), try node.flag() {
            throw node.refused("SentencePiece-style vocabularies are not supported")
        }
        if let node = try model.optional("dropout"), try node.real(in: 0...1) > 0 {
            throw node.refused("merges left out at random are not supported")
        }
    }

    /// ByteLevel (which moves offsets only), TemplateProcessing, or a sequence of them.
    private mutating func readPostProcessor(_ node: JSONNode) throws(DocumentError) {
        let type = try node.member("type")
        switch try type.text() {
        case "ByteLevel": return
        case "Sequence":
            for step in try node.member("processors").elements(countMax: 16) {
                try readPostProcessor(step)
            }
        case "TemplateProcessing":
            guard prefix.isEmpty, suffix.isEmpty else { throw node.refused("a second template") }
            let specials = try node.member("special_tokens")
            var sawText = false
            for part in try node.member("single").elements(countMax: 64) {
                if let special = try part.optional("SpecialToken") {
                    let name = try special.member("id").text()
                    for id in try specials.member(name).member("ids").elements(countMax: 64) {
                        let token = Int32(try id.integer(in: 0...max(vocabularyCount, 1) - 1))
                        if sawText { suffix.append(token) } else { prefix.append(token) }
                    }
                } else {
                    guard !sawText else { throw part.refused("the text a second time") }
                    _ = try part.member("Sequence")
                    sawText = true
                }
            }
            guard sawText else { throw node.refused("the text itself is missing in the template") }
        default: throw type.refused("this post-processor is not supported")
        }
    }
}
