// Keys and values of the rows a block has seen, so that new rows attend to them without computing them again.

/// One block's cache for one sequence. Keys are stored turned by their positions, which are absolute: attention reads
/// differences of positions only, so rows in front can be dropped without touching the rest.
public struct KeyValueCache: Sendable {
    public let keyWidth: Int
    public private(set) var keys: [Float] = []
    public private(set) var values: [Float] = []

    public init(keyWidth: Int) {
        precondition(keyWidth > 0, "a width above zero")
        self.keyWidth = keyWidth
    }

    public var rows: Int { keys.count / keyWidth }
    public var bytes: Int { (keys.capacity + values.capacity) * MemoryLayout<Float>.stride }

    /// Appends keys and values, rows × keyWidth each; of them only `rows`, if given.
    public mutating func append(
        keys newKeys: [Float], values newValues: [Float], rows: Range<Int>? = nil
    ) {
        precondition(
            newKeys.count == newValues.count && newKeys.count.isMultiple(of: keyWidth),
            "whole rows of keys and values")
        let rows = rows ?? 0..<newKeys.count / keyWidth
        let place = rows.lowerBound * keyWidth..<rows.upperBound * keyWidth
        keys.append(contentsOf: newKeys[place])
        values.append(contentsOf: newValues[place])
    }

    /// Drops the oldest rows.
    public mutating func removeFirst(_ count: Int) {
        keys.removeFirst(count * keyWidth)
        values.removeFirst(count * keyWidth)
    }

    /// Puts the rows of another cache in the place of the oldest ones.
    public mutating func replaceFirst(_ count: Int, by other: KeyValueCache) {
        precondition(other.keyWidth == keyWidth, "rows of one width")
        keys.replaceSubrange(..<(count * keyWidth), with: other.keys)
        values.replaceSubrange(..<(count * keyWidth), with: other.values)
    }

    /// Drops the newest rows: candidates that were only tried.
    public mutating func truncate(to count: Int) {
        keys.removeLast(keys.count - count * keyWidth)
        values.removeLast(values.count - count * keyWidth)
    }
}
