// Repeated REC.GET without crossing to the engine: the same bytes asked again, for a user who has not changed since.
//
// Two generations instead of a list of uses: what is looked up moves to the young one, and when that holds half of
// the
// permitted bytes it becomes the old one, whose predecessor is dropped. Owned by one event loop.

import Interactions
import WireProtocol

struct ReplyCache {
    final class Entry {
        let request: [UInt8]
        let reply: [UInt8]
        let user: UserID
        let rung: String
        /// `RecommendationService.version(of:)` under which the reply was made.
        let version: UInt64
        let storedSeconds: Double

        init(
            request: [UInt8], reply: [UInt8], user: UserID, rung: String, version: UInt64,
            storedSeconds: Double
        ) {
            self.request = request
            self.reply = reply
            self.user = user
            self.rung = rung
            self.version = version
            self.storedSeconds = storedSeconds
        }

        var bytes: Int { request.count + reply.count + Self.overheadBytes }
        /// Object, array headers, table slot: roughly.
        static let overheadBytes = 256
    }

    private var young: [UInt64: Entry] = [:]
    private var old: [UInt64: Entry] = [:]
    private var youngBytes = 0
    private var oldBytes = 0
    private let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    var count: Int { young.count + old.count }
    var bytes: Int { youngBytes + oldBytes }

    static func key(_ request: Span<UInt8>, _ version: ProtocolVersion) -> UInt64 {
        xxh64(request, seed: UInt64(version.rawValue))
    }

    /// The entry for exactly these bytes; whether it is still right is for the caller to judge.
    mutating func find(_ key: UInt64, _ request: Span<UInt8>) -> Entry? {
        if let entry = young[key] { return Self.equal(entry.request, request) ? entry : nil }
        guard let entry = old[key], Self.equal(entry.request, request) else { return nil }
        old[key] = nil
        oldBytes -= entry.bytes
        insert(entry, key)
        return entry
    }

    /// Entries beyond a quarter of the permitted bytes are not kept.
    mutating func insert(_ entry: Entry, _ key: UInt64) {
        guard entry.bytes <= bytesMax / 4 else { return }
        if youngBytes + entry.bytes > bytesMax / 2 {
            swap(&young, &old)
            oldBytes = youngBytes
            young.removeAll(keepingCapacity: true)
            youngBytes = 0
        }
        if let replaced = young.updateValue(entry, forKey: key) { youngBytes -= replaced.bytes }
        if let shadowed = old.removeValue(forKey: key) { oldBytes -= shadowed.bytes }
        youngBytes += entry.bytes
    }

    private static func equal(_ left: [UInt8], _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }
}
