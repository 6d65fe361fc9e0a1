// One row of a sparse integer matrix: which items followed this one, and how strongly.

/// An open-addressing map from item number to a count; absent means zero. Copies share storage until one of them
/// changes.
public struct CountRow: Sendable {
    private var keys: [KeyIndex.Number] = []
    private var values: [Int64] = []
    private var used = 0

    public init() {}

    /// Distinct columns ever touched since the last growth; zeros included.
    public var slotCount: Int { used }

    /// Adds `amount` to a column. Returns the change in the number of columns held, for the bound on memory.
    @discardableResult
    public mutating func add(_ column: KeyIndex.Number, _ amount: Int64) -> Int {
        if (used + 1) * 4 > keys.count * 3 { return grow(adding: column, amount) }
        return place(column, amount)
    }

    public subscript(_ column: KeyIndex.Number) -> Int64 {
        guard !keys.isEmpty else { return 0 }
        let mask = keys.count - 1
        var slot = Self.home(column) & mask
        while keys[slot] >= 0 {
            if keys[slot] == column { return values[slot] }
            slot = (slot &+ 1) & mask
        }
        return 0
    }

    /// Calls `body` for every column with a count above zero, in no particular order.
    ///
    /// Whether a slot is taken cannot be predicted, and a wrong guess costs more than reading four slots: so all of 64
    /// are looked at without a branch, and only those that hold something are gone to.
    @inline(__always)
    public func forEachPositive(_ body: (KeyIndex.Number, Int64) -> Void) {
        let columns = keys.span
        let counts = values.span
        var start = 0
        while start < counts.count {
            let end = min(start &+ 64, counts.count)
            var positive: UInt64 = 0
            for slot in start..<end {
                // `start` is a multiple of 64, and a masking shift counts modulo 64.
                positive |= (counts[slot] > 0 ? 1 : 0) &<< UInt64(truncatingIfNeeded: slot)
            }
            while positive != 0 {
                let slot = start &+ positive.trailingZeroBitCount
                positive &= positive &- 1
                body(columns[slot], counts[slot])
            }
            start = end
        }
    }

    /// Calls `body` for every column that is not zero, in no particular order.
    public func forEachNonzero(_ body: (KeyIndex.Number, Int64) -> Void) {
        for slot in keys.indices where values[slot] != 0 { body(keys[slot], values[slot]) }
    }

    private static func home(_ column: KeyIndex.Number) -> Int {
        Int(UInt32(bitPattern: column) &* 0x9E37_79B1 &>> 7)
    }

    private mutating func place(_ column: KeyIndex.Number, _ amount: Int64) -> Int {
        let mask = keys.count - 1
        var slot = Self.home(column) & mask
        while keys[slot] >= 0 {
            if keys[slot] == column {
                values[slot] &+= amount
                return 0
            }
            slot = (slot &+ 1) & mask
        }
        keys[slot] = column
        values[slot] = amount
        used += 1
        return 1
    }

    /// Zeros are dropped here, so that what was subtracted again gives its memory back.
    private mutating func grow(adding column: KeyIndex.Number, _ amount: Int64) -> Int {
        let live = values.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
        var size = 8
        while (live + 1) * 2 > size { size *= 2 }
        let before = used
        let old = (keys, values)
        keys = Array(repeating: -1, count: size)
        values = Array(repeating: 0, count: size)
        used = 0
        for slot in old.0.indices where old.1[slot] != 0 { _ = place(old.0[slot], old.1[slot]) }
        _ = place(column, amount)
        return used - before
    }
}
