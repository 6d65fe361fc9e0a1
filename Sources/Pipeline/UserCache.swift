// Users in memory: bounded, least recently used out first, never one whose state is not yet durable.

import Interactions
import Ports

/// A cached user.
struct CachedUser {
    var user: UserID
    var partition: PartitionIndex
    var state = UserState()
    /// Digest and size of the blob as last encoded or loaded; zero when there is none.
    var digest = StateDigest()
    var blobBytes = 0
    /// The store has been asked for the state and has not answered.
    var isLoading = true
    /// Commits under way that carry this user: it may not be evicted.
    var pins: Int32 = 0
    /// Equal to the running number of the batch being folded when it already changed the user.
    var changedInBatch: UInt64 = 0
    /// Equal to the running number of the run being put in line when it already waits for the user.
    var awaitedBy: UInt64 = 0

    fileprivate var newer: Int32 = -1
    fileprivate var older: Int32 = -1
}

/// What waits for a user's state. Nil says that the state cannot be had now; the answer says whether to go on
/// waiting, which a batch does and a request does not.
typealias Waiter = (CachedUser?) -> Bool

final class UserCache {
    typealias Slot = Int32

    let capacity: Int
    private(set) var users: [CachedUser] = []
    private var slots: [UserID: Slot] = [:]
    private var free: [Slot] = []
    private var newest: Slot = -1
    private var oldest: Slot = -1
    private(set) var evictedCount = 0

    init(capacity: Int) { self.capacity = max(capacity, 1) }

    var count: Int { slots.count }

    func slot(of user: UserID) -> Slot? {
        guard let slot = slots[user] else { return nil }
        touch(slot)
        return slot
    }

    subscript(_ slot: Slot) -> CachedUser {
        get { users[Int(slot)] }
        _modify { yield &users[Int(slot)] }
    }

    /// Makes a place for a user that is not cached, in the loading state.
    func insert(_ user: UserID, partition: PartitionIndex) -> Slot {
        evictIfFull()
        let entry = CachedUser(user: user, partition: partition)
        let slot: Slot
        if let reused = free.popLast() {
            users[Int(reused)] = entry
            slot = reused
        } else {
            slot = Slot(users.count)
            users.append(entry)
        }
        slots[user] = slot
        link(slot)
        return slot
    }

    func remove(_ user: UserID) {
        guard let slot = slots.removeValue(forKey: user) else { return }
        unlink(slot)
        users[Int(slot)].state = UserState()
        free.append(slot)
    }

    func removeAll(of partition: PartitionIndex) {
        for (user, slot) in slots where users[Int(slot)].partition == partition { remove(user) }
    }

    func removeAll() {
        users = []
        slots = [:]
        free = []
        newest = -1
        oldest = -1
    }

    /// The cache may exceed its capacity only by users that are loading or pinned, which the bounded prefetch limits.
    private func evictIfFull() {
        var candidate = oldest
        var steps = 0
        while slots.count >= capacity, candidate >= 0, steps < 64 {
            let next = users[Int(candidate)].newer
            if users[Int(candidate)].pins == 0, !users[Int(candidate)].isLoading {
                remove(users[Int(candidate)].user)
                evictedCount += 1
            }
            candidate = next
            steps += 1
        }
    }

    private func touch(_ slot: Slot) {
        guard newest != slot else { return }
        unlink(slot)
        link(slot)
    }

    private func link(_ slot: Slot) {
        users[Int(slot)].older = newest
        users[Int(slot)].newer = -1
        if newest >= 0 { users[Int(newest)].newer = slot }
        newest = slot
        if oldest < 0 { oldest = slot }
    }

    private func unlink(_ slot: Slot) {
        let (newer, older) = (users[Int(slot)].newer, users[Int(slot)].older)
        if newer >= 0 { users[Int(newer)].older = older } else { newest = older }
        if older >= 0 { users[Int(older)].newer = newer } else { oldest = newer }
    }
}
