// Token for token what Hugging Face's tokenizers make of the same texts with the same files.

import JSONDocuments
import TestKit
import Testing
import Tokenization

func tokenizer(_ style: String) throws -> Tokenizer {
    let name = "tokenizer-\(style).json"
    return try Tokenizer(parsing: fixture(name), document: name)
}

func tokens(_ value: JSONNode) throws -> [Int32] {
    try value.elements().map { Int32(try $0.integer(in: 0...Int(Int32.max))) }
}

@Suite("tokens as Hugging Face makes them")
struct GoldenTests {
    static let styles = ["gpt2", "prefix", "llama3", "qwen", "digits"]

    @Test("texts encode and decode as there", arguments: styles)
    func encodings(style: String) throws {
        let made = try tokenizer(style)
        let name = "encodings-\(style).json"
        for item in try JSONNode(parsing: fixture(name), document: name).elements() {
            let whole = try item.member("decodedWhole").text()
            guard let text = try item.optional("text")?.text() else {
                let ids = try tokens(item.member("ids"))
                #expect(isSameText(made.decode(ids, skippingSpecials: false), whole), "\(ids)")
                continue
            }
            let recognised = try tokens(item.member("recognised"))
            #expect(made.encode(text, added: .recognised) == recognised, "\(text)")
            #expect(
                try made.encodeFramed(text, added: .recognised) == tokens(item.member("framed")))
            #expect(isSameText(made.decode(recognised), try item.member("decoded").text()))
            #expect(isSameText(made.decode(recognised, skippingSpecials: false), whole))
            // There, only special tokens can be taken as text; `<tool>` and `Tool` are added but not special.
            if !text.lowercased().contains("tool") {
                #expect(try made.encode(text) == tokens(item.member("plain")), "\(text)")
            }
        }
    }

    @Test("training learns what BpeTrainer learns, merge by merge")
    func training() throws {
        let golden = try JSONNode(parsing: fixture("bpe-training.json"), document: "bpe")
        var training = BPETraining()
        training.vocabularyCount = 500
        let texts = try golden.member("texts").elements().map { try $0.text() }
        let document = training.train(texts)
        let model = try JSONNode(document, document: "trained").member("model")
        let vocabulary = try model.member("vocab").members().map(\.name)
        #expect(
            try vocabulary == golden.member("vocabulary").elements().map { try $0.text() })
        #expect(try model.member("merges").value == golden.member("merges").value)
    }

    @Test("a conversation is rendered as by the template program", arguments: ["qwen", "llama3"])
    func chat(style: String) throws {
        let golden = try JSONNode(parsing: fixture("chat-\(style).json"), document: "chat")
        let template = try ChatTemplate(
            program: golden.member("program").text(), tokenizer: tokenizer(style),
            document: "tokenizer_config.json")
        let messages = try golden.member("messages").elements().map { message in
            let role = ChatMessage.Role(rawValue: try message.member("role").text())
            return ChatMessage(try #require(role), try message.member("content").text())
        }
        #expect(try template.prompt(messages) == tokens(golden.member("ids")))
    }
}
