// Where each parameter of a model lies: one array of floats holds them all, so that the optimiser, clipping, digests
// and files go through it once, and gradients and moments are arrays of the same layout.

/// A named piece of the array, row-major.
public struct ParameterEntry: Sendable, Equatable {
    /// As Hugging Face calls it.
    public var name: String
    public var shape: [Int]
    public var range: Range<Int>
}

public struct ParameterLayout: Sendable, Equatable {
    public private(set) var entries: [ParameterEntry] = []
    /// Numbers in all entries.
    public private(set) var count = 0
    private var places: [String: Int] = [:]

    public init() {}

    /// Appends an entry and returns its place. Names are distinct.
    @discardableResult
    public mutating func add(_ name: String, _ shape: Int...) -> Range<Int> {
        precondition(places[name] == nil, "two parameters named \(name)")
        let size = shape.reduce(1, *)
        let range = count..<count + size
        places[name] = entries.count
        entries.append(ParameterEntry(name: name, shape: shape, range: range))
        count += size
        return range
    }

    public func entry(_ name: String) -> ParameterEntry? { places[name].map { entries[$0] } }
}
