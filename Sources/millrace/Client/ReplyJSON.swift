// Replies of the daemon as JSON, for `--json`: the words of the protocol are those of the output.

import WireProtocol

extension JSONLine {
    static func of(_ reply: Reply) throws -> String { try of(ReplyValue(reply: reply)) }
}

private struct ReplyValue: Encodable {
    let reply: Reply

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    func encode(to encoder: any Encoder) throws {
        switch reply {
        case .map(let pairs):
            var container = encoder.container(keyedBy: Key.self)
            for pair in pairs {
                try container.encode(
                    ReplyValue(reply: pair.value), forKey: Key(stringValue: pair.key.text ?? "?"))
            }
        case .array(let elements), .set(let elements), .push(let elements):
            var container = encoder.unkeyedContainer()
            for element in elements { try container.encode(ReplyValue(reply: element)) }
        default:
            var container = encoder.singleValueContainer()
            switch reply {
            case .null: try container.encodeNil()
            case .integer(let value): try container.encode(value)
            case .double(let value): try container.encode(value)
            case .boolean(let value): try container.encode(value)
            default: try container.encode(reply.text ?? "")
            }
        }
    }
}
