// Cheap proof that nothing changed: a table of counters that the engine raises and any thread reads, without a lock.
//
// Users share counters by hash, so an unrelated user's event may make a cached list look old; never the reverse.

import Synchronization

final class VersionTable: Sendable {
    private static let size = 1 << 16
    /// Raised when something changes for everybody: the catalogue, a recovery.
    private let common = Atomic<UInt64>(1)
    private let counters: Counters

    init() { counters = Counters(count: Self.size) }

    func version(_ key: UInt64) -> UInt64 {
        let own = counters[Int(truncatingIfNeeded: key) & (Self.size - 1)]
        // The common part moves the whole word, so that no sum of the two repeats in practice.
        return common.load(ordering: .acquiring) &* 0x9E37_79B9_7F4A_7C15 &+ own
    }

    func raise(_ key: UInt64) { counters.raise(Int(truncatingIfNeeded: key) & (Self.size - 1)) }

    func raiseAll() { common.wrappingAdd(1, ordering: .releasing) }
}

/// A fixed block of atomics, which arrays cannot hold because atomics do not copy.
@safe
private final class Counters: @unchecked Sendable {
    // Unchecked because the pointer never changes and everything behind it is atomic.
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    private let count: Int

    init(count: Int) {
        self.count = count
        unsafe cells = .allocate(capacity: count)
        for index in 0..<count { unsafe (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe cells.deinitialize(count: count)
        unsafe cells.deallocate()
    }

    subscript(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        return unsafe cells[index].load(ordering: .acquiring)
    }

    func raise(_ index: Int) {
        precondition(index >= 0 && index < count)
        unsafe cells[index].wrappingAdd(1, ordering: .releasing)
    }
}
