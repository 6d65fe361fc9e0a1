// Item keys to dense numbers: open addressing over keys that are hashes already.

public import Interactions

/// A growing map from item key to 0, 1, 2, ... in order of first insertion. Numbers are local to the process and
/// never stored.
public struct KeyIndex: Sendable {
    public typealias Number = Int32

    /// The key of each number.
    public private(set) var keys: [ItemKey] = []
    private var slots: [Number]
    private var mask: Int

    public init() {
        slots = Array(repeating: -1, count: 64)
        mask = 63
    }

    public var count: Int { keys.count }

    public func number(of key: ItemKey) -> Number? {
        let number = slots[slot(of: key)]
        return number < 0 ? nil : number
    }

    /// The number of `key`, which is added when it is new.
    public mutating func insert(_ key: ItemKey) -> Number {
        let slot = slot(of: key)
        if slots[slot] >= 0 { return slots[slot] }
        let number = Number(keys.count)
        keys.append(key)
        slots[slot] = number
        if keys.count * 2 > slots.count { grow() }
        return number
    }

    private func slot(of key: ItemKey) -> Int {
        var slot = Int(truncatingIfNeeded: key) & mask
        while true {
            let number = slots[slot]
            if number < 0 || keys[Int(number)] == key { return slot }
            slot = (slot &+ 1) & mask
        }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        mask = slots.count - 1
        for (number, key) in keys.enumerated() { slots[slot(of: key)] = Number(number) }
    }
}
