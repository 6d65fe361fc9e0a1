// A log with everything that can be odd about a record, and beside it what a plain fold makes of the same records.

import Foundation
import Interactions
import KafkaIngest
import Pipeline
import Ports
import Recommender
import Simulation
import Teachers
import TestKit

/// Records in the order they are produced.
struct SimulatedLog {
    struct Record {
        var wire: BulkRecord
        /// What it asks for; nil when it changes nothing.
        var entry: LogEntry?
        var isRejected = false
    }

    static let historyMax = 40
    static let eventIDsMax = 24
    static let types = EventTypes([
        EventType(name: "view", weight: 1, seen: .always),
        EventType(name: "click", weight: 1, seen: .always),
        EventType(name: "cart", weight: 3, seen: .always),
        EventType(name: "purchase", weight: 5, seen: .always),
        EventType(name: "rating", weight: 1, seen: .always),
        EventType(name: "rate", weight: 1, seen: .always),
        EventType(name: "like", weight: 3, seen: .always),
        EventType(name: "dislike", weight: -1, seen: .always),
    ])
    static let engine = EngineConfiguration(
        history: HistoryRules(types: types, historyMax: historyMax, eventKeysMax: eventIDsMax))

    private(set) var records: [Record] = []
    let itemCount: Int
    let userCount: Int
    private var random: SeededRandom
    private var recent: [Record] = []
    private var number = 0

    init(seed: UInt64, users: Int = 300, items: Int = 200) {
        random = SeededRandom(seed: seed)
        userCount = users
        itemCount = items
    }

    static func itemRecords(_ count: Int) -> [BulkRecord] {
        (0..<count).map { index in
            BulkRecord(
                key: Array("item-\(index)".utf8),
                payload: Array(#"{"title":"Title \#(index)","brand":"b"}"#.utf8),
                timestamp: start)
        }
    }

    static let start: Milliseconds = 1_700_000_000_000
    private var time: Milliseconds { Self.start + Milliseconds(number) * 1_000 }

    // MARK: - Making it

    /// Adds `count` records; `odd` mixes in everything a decoder has to refuse or bend.
    mutating func extend(by count: Int, odd: Bool) {
        for _ in 0..<count {
            number += 1
            let record = odd && random.chance(0.15) ? oddRecord() : plainRecord()
            records.append(record)
            if record.entry != nil, record.wire.payload != nil {
                recent.append(record)
                if recent.count > 200 { recent.removeFirst() }
            }
        }
    }

    /// A view that a client added by itself.
    mutating func addView(of user: String, item: String) {
        guard let user = UserID(user), let item = ItemID(item) else { return }
        let view = Interaction(user: user, item: item, type: 0, time: time, eventKey: 0)
        records.append(
            Record(
                wire: BulkRecord(key: nil, payload: nil, timestamp: time), entry: .interaction(view)
            ))
    }

    private mutating func plainRecord() -> Record {
        event(user: "user-\(skewed(userCount))")
    }

    private mutating func skewed(_ bound: Int) -> Int {
        min(random.below(bound), random.below(bound))
    }

    private mutating func event(
        user: String, keyed: Bool = true, type: String? = nil, timeField: String? = nil,
        effective: Milliseconds? = nil, extra: String = ""
    ) -> Record {
        let names = ["view", "view", "view", "purchase", "like", "dislike"]
        let type = type ?? names[random.below(names.count)]
        let item = "item-\(skewed(itemCount))"
        let id = "e\(number)"
        let time = self.time
        let field = timeField ?? "\"ts\":\(time),"
        let json =
            "{\"user\":\"\(user)\",\"item\":\"\(item)\",\(field)\(extra)\"id\":\"\(id)\",\"type\":\"\(type)\"}"
        var entry: LogEntry?
        if let index = Self.types.index(named: type), let user = UserID(user),
            let item = ItemID(item)
        {
            entry = .interaction(
                Interaction(
                    user: user, item: item, type: index, time: effective ?? time,
                    eventKey: max(1, xxh64(id))))
        }
        let wire = BulkRecord(
            key: keyed ? Array(user.utf8) : nil, payload: Array(json.utf8), timestamp: time)
        return Record(wire: wire, entry: entry, isRejected: entry == nil)
    }

    private mutating func oddRecord() -> Record {
        let user = "user-\(skewed(userCount))"
        let key = Array(user.utf8)
        func refused(_ payload: [UInt8]) -> Record {
            Record(
                wire: BulkRecord(key: key, payload: payload, timestamp: time), entry: nil,
                isRejected: true)
        }
        switch random.below(14) {
        case 0...2: return recent.isEmpty ? plainRecord() : recent[random.below(recent.count)]
        case 3:
            return Record(
                wire: BulkRecord(key: key, payload: nil, timestamp: time),
                entry: UserID(user).map { .forget($0) })
        case 4: return event(user: user, type: "teleport")
        case 5: return refused(Array(#"{"user":"\#(user)","item":"#.utf8))
        case 6: return refused([0xFF, 0xFE, 0x00, 0x80, UInt8(random.below(256))])
        case 7:
            return refused(Array(#"{"user":"\#(user)","item":"a"#.utf8) + [0xC3, 0x28, 0x22, 0x7D])
        case 8: return event(user: "anonymous-\(random.below(20))", keyed: false)
        case 9: return Record(wire: BulkRecord(key: nil, payload: nil, timestamp: time))
        case 10:
            // The key is somebody else's.
            var record = event(user: user)
            record.wire.key = Array("other".utf8)
            record.entry = nil
            record.isRejected = true
            return record
        case 11: return event(user: user, timeField: "\"ts\":\(time + 3_600_000),", effective: time)
        case 12: return event(user: user, timeField: "")
        default:
            let late = time - 86_400_000
            return event(
                user: "büyer-\(random.below(9))", timeField: "\"ts\":\(late),", effective: late,
                extra: "\"value\":4.5,\"note\":[1,{\"a\":null}],")
        }
    }

    // MARK: - What must come out

    var wire: [BulkRecord] { records.map(\.wire) }
    var rejectedCount: Int { records.count { $0.isRejected } }

    func logs(without forgotten: Set<UserID> = []) -> [[RecordBatch.Entry]] {
        var logs = [[RecordBatch.Entry]](repeating: [], count: Int(Broker.partitions))
        for entry in records.compactMap(\.entry) where !forgotten.contains(entry.user) {
            let home = Int(Partitioner.murmur2.partition(of: entry.user, count: Broker.partitions))
            logs[home].append(
                RecordBatch.Entry(offset: Offset(logs[home].count), entry: entry))
        }
        return logs
    }

    func reference(without forgotten: Set<UserID> = []) -> Reference {
        Reference(ReferenceFold(logs: logs(without: forgotten), configuration: Self.engine))
    }
}

/// The reference fold, seen as a daemon would show it.
struct Reference {
    let fold: ReferenceFold
    let digests: Digests

    init(_ fold: ReferenceFold) {
        self.fold = fold
        var sums = [StateDigest](repeating: StateDigest(), count: Int(Broker.partitions))
        var counts = [Int](repeating: 0, count: Int(Broker.partitions))
        for (user, state) in fold.users {
            let home = Int(Partitioner.murmur2.partition(of: user, count: Broker.partitions))
            sums[home] = sums[home] + Coordinator.digest(user, state.encoded())
            counts[home] += 1
        }
        digests = Digests(
            statistics: fold.statistics.digest,
            partitions: Dictionary(
                uniqueKeysWithValues: sums.indices.map {
                    ($0, Digests.Partition(digest: sums[$0].description, users: counts[$0]))
                }))
    }

    /// The history of a user as `USER.GET` shows it.
    func history(of user: UserID) -> [[String]] {
        (fold.users[user]?.history ?? []).map { entry in
            let item = names[entry.item] ?? "?"
            return [item, SimulatedLog.types[entry.type].name, "\(Int(entry.seconds) * 1_000)"]
        }
    }

    private let names: [ItemKey: String] = Dictionary(
        uniqueKeysWithValues: (0..<10_000).compactMap { ItemID("item-\($0)") }.map {
            ($0.key, $0.text)
        })
}
