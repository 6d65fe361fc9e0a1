// A JSON document as a value. Model folders are made of such documents; they are small (kilobytes) but for the
// vocabulary, which has some hundred thousand members: objects keep their order and are not hashed.

/// One JSON value. Members of an object keep the order of the document; no name occurs twice in a parsed one.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number written without fraction and exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number; integers beyond 64 bits come here, rounded.
    case real(Double)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])

    /// An object from literal members.
    public static func members(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.map { JSONMember($0.key, $0.value) })
    }

    /// The member called `name`, compared byte by byte; nil when this is no object or has none.
    public subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { isSameText($0.name, name) }?.value
    }

    /// What kind of value this is, for sentences.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .string(let text): text.utf8.count <= 80 ? "\"\(text)\"" : "a long string"
        case .array(let elements): "an array of \(elements.count)"
        case .object(let members): "an object of \(members.count)"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .real(value) }
}

/// One member of an object.
public struct JSONMember: Sendable, Equatable {
    public var name: String
    public var value: JSONValue

    public init(_ name: String, _ value: JSONValue) {
        self.name = name
        self.value = value
    }
}

/// Whether two texts are the same bytes. Strings are equal in Swift when they are canonically equivalent, which would
/// take two different tokens for one.
public func isSameText(_ left: String, _ right: String) -> Bool {
    left.utf8.elementsEqual(right.utf8)
}

/// A text as a key that is equal to another only when their bytes are.
public struct ExactText: Hashable, Sendable {
    public var text: String

    public init(_ text: String) { self.text = text }

    public static func == (left: ExactText, right: ExactText) -> Bool {
        isSameText(left.text, right.text)
    }

    public func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }
}

/// Why a document of a model folder is refused: which document, where in it, and what is wrong with the way out.
public struct DocumentError: Error, Equatable, CustomStringConvertible {
    /// The file, as the caller named it.
    public var document: String
    /// The place in it, such as `model.merges[3]`; empty for the whole.
    public var place: String
    public var reason: String

    public init(_ document: String, at place: String = "", _ reason: String) {
        self.document = document
        self.place = place
        self.reason = reason
    }

    public var description: String {
        place.isEmpty ? "\(document): \(reason)" : "\(document): \(place): \(reason)"
    }
}
