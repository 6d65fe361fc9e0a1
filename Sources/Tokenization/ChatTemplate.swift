// Conversations as tokens. Model folders carry a Jinja program for this; two families cover the models read here, so
// the program is recognised, not run, and any other is refused.
//
// What the programs insert when there is no system message differs even between versions of one family; so a
// conversation here always begins with one.

public import JSONDocuments

/// One message of a conversation.
public struct ChatMessage: Sendable, Equatable {
    public enum Role: String, Sendable {
        case system
        case user
        case assistant
    }

    public var role: Role
    public var text: String

    public init(_ role: Role, _ text: String) {
        self.role = role
        self.text = text
    }
}

/// How a model wants conversations written.
public struct ChatTemplate: Sendable, Equatable {
    enum Family: Sendable, Equatable {
        /// `<|im_start|>role\n…<|im_end|>\n`; with `emptyThought`, the model is told that it has thought already.
        case chatML(emptyThought: Bool)
        /// `<|start_header_id|>role<|end_header_id|>\n\n…<|eot_id|>` after BOS; with `dated`, the system message
        /// begins with two dates (the template's own default for today, so that prompts do not change by the day).
        case llama3(dated: Bool)
    }

    let family: Family
    private let tokenizer: Tokenizer
    private let open: Int32
    private let close: Int32
    private let afterRole: Int32?

    public static func == (left: ChatTemplate, right: ChatTemplate) -> Bool {
        left.family == right.family && left.open == right.open && left.close == right.close
    }

    /// Recognises the Jinja `program`: `chat_template` of tokenizer_config.json, or the file chat_template.jinja.
    /// `document` names it in errors.
    public init(
        program: String, tokenizer: Tokenizer, document: String
    ) throws(DocumentError) {
        func token(_ text: String) throws(DocumentError) -> Int32 {
            guard let id = tokenizer.id(of: text), tokenizer.isSpecial(id) else {
                throw DocumentError(
                    document, at: "chat_template",
                    "it uses \(text), which is no special token of the tokenizer")
            }
            return id
        }
        self.tokenizer = tokenizer
        if program.contains("<|im_start|>"), program.contains("<|im_end|>") {
            family = .chatML(emptyThought: program.contains("enable_thinking"))
            open = try token("<|im_start|>")
            close = try token("<|im_end|>")
            afterRole = nil
        } else if program.contains("<|start_header_id|>"), program.contains("<|eot_id|>") {
            family = .llama3(dated: program.contains("Cutting Knowledge Date"))
            open = try token("<|start_header_id|>")
            close = try token("<|eot_id|>")
            afterRole = try token("<|end_header_id|>")
        } else {
            throw DocumentError(
                document, at: "chat_template",
                "neither the ChatML family (Qwen) nor that of Llama 3; others are not supported")
        }
    }

    /// The token that ends the model's answer.
    public var endOfTurn: Int32 { close }

    /// The conversation as tokens, up to where the model's answer begins. Texts are text only: none becomes a special
    /// token. The first message is the system's and there is no other of it.
    public func prompt(_ messages: [ChatMessage]) -> [Int32] {
        precondition(
            messages.first?.role == .system
                && messages.dropFirst().allSatisfy { $0.role != .system },
            "a conversation begins with its only system message")
        switch family {
        case .chatML(let emptyThought):
            var tokens = messages.flatMap { message in
                [open] + tokenizer.encode("\(message.role.rawValue)\n\(message.text)") + [close]
                    + tokenizer.encode("\n")
            }
            tokens += [open] + tokenizer.encode("assistant\n")
            return emptyThought ? tokens + thought : tokens
        case .llama3(let dated):
            let dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
            let turns = messages.flatMap { message in
                let before = dated && message.role == .system ? dates : ""
                return header(message.role, "\n\n" + before + Self.trimmed(message.text)) + [close]
            }
            return tokenizer.prefix + turns + header(.assistant, "\n\n")
        }
    }

    private func header(_ role: ChatMessage.Role, _ text: String) -> [Int32] {
        [open] + tokenizer.encode(role.rawValue) + (afterRole.map { [$0] } ?? [])
            + tokenizer.encode(text)
    }

    /// `<think>` and its end with nothing between, in tokens of their own where the tokenizer has them.
    private var thought: [Int32] {
        tokenizer.encode("<think>\n\n</think>\n\n", added: .recognised)
    }

    /// As Jinja's `trim` does it: white space at both ends.
    private static func trimmed(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[first...last])
    }
}
