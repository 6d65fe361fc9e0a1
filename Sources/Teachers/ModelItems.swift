// The items of a solved model: rows by key, and where their scores go.
//
// A model outlives the numbering it was solved under (they differ from process to process, and change when statistics
// are replaced), so it keeps keys and is bound to the numbers in use.

public import Interactions

/// Rows 0, 1, ... of a model in ascending order of key: the same for the same items, whatever the order they came in.
public struct ModelItems: Sendable {
    /// Key of each row, and the row of each key.
    public let index: KeyIndex
    /// Number of each row in the statistics bound to; -1 where they do not know the item.
    private var numbers: [KeyIndex.Number] = []

    public init(_ keys: some Sequence<ItemKey> = []) {
        var index = KeyIndex()
        for key in keys.sorted() { _ = index.insert(key) }
        self.index = index
    }

    public var count: Int { index.count }

    public mutating func bind(to items: KeyIndex) {
        numbers = index.keys.map { items.number(of: $0) ?? -1 }
    }

    /// Hands each row's value to its item. Values that are not finite are left out; nothing happens while the model is
    /// bound to other statistics.
    func give(_ values: [Float], of statistics: Statistics, to scores: inout SparseScores) {
        guard isBound(to: statistics.items), values.count == count else { return }
        scores.assign(values, to: numbers)
    }

    /// A look at both ends, no proof: numbers either fit as a whole or differ from the first on.
    func isBound(to items: KeyIndex) -> Bool {
        guard count > 0, numbers.count == count else { return false }
        return [0, count - 1].allSatisfy { row in
            guard numbers[row] >= 0 else { return true }
            return Int(numbers[row]) < items.count
                && items.keys[Int(numbers[row])] == index.keys[row]
        }
    }

    // MARK: - Stored form: count, then keys as words

    func encode(into out: inout ByteWriter) {
        out.varint(UInt64(count))
        for key in index.keys { out.word64(key) }
    }

    init(from reader: inout ByteReader) throws(MalformedBytes) {
        let count = try reader.count(max: reader.remaining / 8)
        var keys: [ItemKey] = []
        keys.reserveCapacity(count)
        for _ in 0..<count {
            let key = try reader.word64()
            if let last = keys.last, last >= key {
                throw MalformedBytes("the items of a model are out of order")
            }
            keys.append(key)
        }
        self.init(keys)
    }
}
