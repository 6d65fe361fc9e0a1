// User and item identifiers: bytes from outside that we compare, hash and route by, never interpret.
//
// Two identifiers are equal exactly when their UTF-8 bytes are equal. Swift compares strings by canonical
// equivalence, which would merge users that Kafka's partitioner keeps apart; carrying the hash of the bytes beside
// the text restores byte equality and makes dictionary look-ups cheap.

/// A user: 1 to `Identifier.bytesMax` bytes of UTF-8.
public struct UserID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String
    /// XXH64 of the bytes, seed 0.
    public let key: UInt64

    /// Accepts any text of permitted length; returns nil for empty or too long.
    public init?(_ text: String) {
        guard Identifier.isAcceptable(text) else { return nil }
        self.text = text
        key = xxh64(text)
    }

    public static func == (left: UserID, right: UserID) -> Bool {
        left.key == right.key && left.text == right.text
    }

    public static func < (left: UserID, right: UserID) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(key) }
    public var description: String { text }
}

/// The 8 bytes by which histories and statistics name an item: XXH64 of the item's identifier, seed 0.
///
/// A pure function of the identifier, so that instances, restarts and orders of arrival agree. Two identifiers that
/// share a key (about 3 in 10^8 for a million items) cannot both be in the catalogue: the second is refused by name.
public typealias ItemKey = UInt64

/// An item: 1 to `Identifier.bytesMax` bytes of UTF-8.
public struct ItemID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String
    public let key: ItemKey

    public init?(_ text: String) {
        guard Identifier.isAcceptable(text) else { return nil }
        self.text = text
        key = xxh64(text)
    }

    public static func == (left: ItemID, right: ItemID) -> Bool {
        left.key == right.key && left.text == right.text
    }

    public static func < (left: ItemID, right: ItemID) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(key) }
    public var description: String { text }
}

public enum Identifier {
    /// The longest identifier accepted, in bytes.
    public static let bytesMax = 256

    public static func isAcceptable(_ text: String) -> Bool {
        let count = text.utf8.count
        return count > 0 && count <= bytesMax
    }
}

/// A Kafka partition of the interactions topic: the unit of ownership, order and atomicity.
public typealias PartitionIndex = Int32

/// A Kafka offset: the position of a record in its partition.
public typealias Offset = Int64

/// Milliseconds since 1970-01-01T00:00:00Z.
public typealias Milliseconds = Int64
