// A value together with where it stands, so that whoever expects something else there can say so.

/// One value of a named document. Reading what is not there, or is of another kind, throws an error with its path.
public struct JSONNode: Sendable {
    public let value: JSONValue
    public let document: String
    private let place: Place

    private indirect enum Place: Sendable {
        case root
        case member(Place, String)
        case element(Place, Int)

        var text: String {
            switch self {
            case .root: ""
            case .member(.root, let name): name
            case .member(let parent, let name): "\(parent.text).\(name)"
            case .element(let parent, let index): "\(parent.text)[\(index)]"
            }
        }
    }

    public init(_ value: JSONValue, document: String) {
        self.init(value, document, .root)
    }

    public init(
        parsing bytes: [UInt8], document: String, limits: JSONLimits = JSONLimits()
    ) throws(DocumentError) {
        self.init(try JSONValue(parsing: bytes, named: document, limits: limits), document, .root)
    }

    private init(_ value: JSONValue, _ document: String, _ place: Place) {
        self.value = value
        self.document = document
        self.place = place
    }

    /// Where this stands, such as `model.merges[3]`.
    public var path: String { place.text }

    /// An error that names this place.
    public func refused(_ reason: String) -> DocumentError {
        DocumentError(document, at: path, reason)
    }

    private func unexpected(_ expected: String) -> DocumentError {
        refused("\(value.kind), but \(expected) is expected")
    }

    /// The member called `name`.
    public func member(_ name: String) throws(DocumentError) -> JSONNode {
        guard let found = try optional(name) else {
            throw JSONNode(.null, document, .member(place, name)).refused("is missing")
        }
        return found
    }

    /// The member called `name`, or nil when it is absent or null.
    public func optional(_ name: String) throws(DocumentError) -> JSONNode? {
        guard case .object = value else { throw unexpected("an object") }
        guard let found = value[name], found != .null else { return nil }
        return JSONNode(found, document, .member(place, name))
    }

    public func members() throws(DocumentError) -> [(name: String, node: JSONNode)] {
        guard case .object(let members) = value else { throw unexpected("an object") }
        return members.map { ($0.name, JSONNode($0.value, document, .member(place, $0.name))) }
    }

    /// The elements of an array of at most `countMax`.
    public func elements(countMax: Int = .max) throws(DocumentError) -> [JSONNode] {
        guard case .array(let elements) = value else { throw unexpected("an array") }
        guard elements.count <= countMax else {
            throw unexpected("an array of at most \(countMax) elements")
        }
        return elements.enumerated().map { JSONNode($1, document, .element(place, $0)) }
    }

    public func text() throws(DocumentError) -> String {
        guard case .string(let text) = value else { throw unexpected("a string") }
        return text
    }

    public func flag() throws(DocumentError) -> Bool {
        guard case .bool(let flag) = value else { throw unexpected("true or false") }
        return flag
    }

    public func integer(in range: ClosedRange<Int>) throws(DocumentError) -> Int {
        guard case .integer(let number) = value, range.contains(Int(number)) else {
            throw unexpected("an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return Int(number)
    }

    /// A number, written as an integer or not.
    public func real(in range: ClosedRange<Double>) throws(DocumentError) -> Double {
        let number: Double
        switch value {
        case .integer(let integer): number = Double(integer)
        case .real(let real): number = real
        default: throw unexpected("a number")
        }
        guard range.contains(number) else {
            throw unexpected("a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
