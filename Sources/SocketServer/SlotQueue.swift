// Requests in flight on one connection, in the order they came: a reply leaves when all before it have left.

import DequeModule
import NIOCore
import WireProtocol

/// A request whose reply has not left yet.
struct Slot {
    enum AtDeadline {
        /// The client is told so.
        case timeout
        /// The time was the client's own (`BLOCK`): nothing came, which is an answer.
        case nullArray
    }

    var command: Int
    var version: ProtocolVersion
    /// The request's bytes, for the reply cache and the slow log; empty when neither will ask.
    var frame: [UInt8]
    var startedSeconds: Double
    var deadline: NIODeadline
    var atDeadline = AtDeadline.timeout
    /// The encoded reply once it is there.
    var reply: [UInt8]?
}

struct SlotQueue {
    private var slots = Deque<Slot>()
    /// Ticket of the first slot; tickets count up.
    private(set) var headTicket: UInt64 = 0

    var isEmpty: Bool { slots.isEmpty }
    var count: Int { slots.count }
    /// The ticket the next slot will have.
    var nextTicket: UInt64 { headTicket + UInt64(slots.count) }

    mutating func append(_ slot: Slot) -> UInt64 {
        slots.append(slot)
        return nextTicket - 1
    }

    /// The slot that holds `ticket`, if it is still unanswered.
    func unanswered(_ ticket: UInt64) -> Slot? { index(ticket).map { slots[$0] } }

    private func index(_ ticket: UInt64) -> Int? {
        guard ticket >= headTicket, ticket - headTicket < UInt64(slots.count) else { return nil }
        let index = Int(ticket - headTicket)
        return slots[index].reply == nil ? index : nil
    }

    /// Answers a slot; writes what may leave now.
    mutating func answer(_ ticket: UInt64, _ encoded: [UInt8], to out: inout ByteBuffer) {
        guard let index = index(ticket) else { return }
        guard index == 0 else {
            // The caller's array is scratch with room to spare: keep only what is needed.
            slots[index].reply = Array(encoded[...])
            return
        }
        out.writeBytes(encoded)
        removeFirst()
        while let reply = slots.first?.reply {
            out.writeBytes(reply)
            removeFirst()
        }
    }

    private mutating func removeFirst() {
        slots.removeFirst()
        headTicket += 1
    }

    /// Tickets whose deadline has come, and the nearest deadline of the others.
    func due(_ moment: NIODeadline) -> (tickets: [UInt64], next: NIODeadline) {
        var found = (tickets: [UInt64](), next: NIODeadline.distantFuture)
        for (index, slot) in slots.enumerated() where slot.reply == nil {
            if slot.deadline <= moment {
                found.tickets.append(headTicket + UInt64(index))
            } else {
                found.next = min(found.next, slot.deadline)
            }
        }
        return found
    }
}
