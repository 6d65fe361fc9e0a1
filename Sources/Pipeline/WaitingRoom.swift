// Requests that wait for something of the store: answered when it comes, or without it when their time is up.
//
// The store is asked once for all who wait for the same; what is still under way for requests that are already answered
// is one entry, however many there were.

import Interactions
import Ports

struct WaitingRoom {
    enum Wanted: Hashable {
        case state(UserID)
        /// What another system wrote of the user.
        case record(UserID)
    }

    enum Came {
        /// The time is up.
        case nothing
        /// Nil: the store cannot say.
        case state(UserState?)
        case record(Result<[UInt8]?, PortError>)
    }

    struct Guest {
        var wanted: Wanted
        var dueAt: Double
        var body: (Came) -> Void
    }

    private(set) var guests: [UInt64: Guest] = [:]
    private var byWanted: [Wanted: [UInt64]] = [:]
    /// Asked of the store, and not answered.
    private(set) var asked: Set<Wanted> = []
    private var last: UInt64 = 0

    /// Takes a guest in; returns whether the store is to be asked.
    mutating func add(_ guest: Guest) -> Bool {
        last += 1
        guests[last] = guest
        byWanted[guest.wanted, default: []].append(last)
        return asked.insert(guest.wanted).inserted
    }

    /// Those who wait for what has come, in the order of their arrival.
    mutating func take(_ wanted: Wanted) -> [Guest] {
        asked.remove(wanted)
        return (byWanted.removeValue(forKey: wanted) ?? []).compactMap {
            guests.removeValue(forKey: $0)
        }
    }

    /// Those whose time is up, in the order of their arrival.
    mutating func takeOverdue(_ moment: Double) -> [Guest] {
        let overdue = guests.filter { $0.value.dueAt <= moment }.map(\.key).sorted()
        return overdue.compactMap { id in
            guard let guest = guests.removeValue(forKey: id) else { return nil }
            byWanted[guest.wanted]?.removeAll { $0 == id }
            if byWanted[guest.wanted]?.isEmpty == true { byWanted[guest.wanted] = nil }
            return guest
        }
    }
}
