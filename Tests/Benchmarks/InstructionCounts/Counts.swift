// One event's whole way, one list, one request with its reply: from the same seed every time.

import Combiner
import Interactions
import Recommender
import RecordDecoding
import Teachers
import TestKit
import WireProtocol

private let types = EventTypes([
    EventType(name: "view", weight: 1, seen: .always),
    EventType(name: "purchase", weight: 5, seen: .always),
])
private let now: Milliseconds = 1_700_000_000_000

/// An engine that has seen `eventCount` events, and the users it keeps, as the daemon keeps them.
private struct Shop {
    let engine: Engine
    var users: [UserState]
    let itemCount: Int
    private var random = SeededRandom(seed: 1)
    private var eventNumber = 0
    private var decoder = [RecordReader()]

    init(userCount: Int, itemCount: Int, eventCount: Int, mixture: MixtureConfiguration? = nil) {
        let halfLives = mixture.map { _ in MixtureConfiguration.halfLives(beside: [61_200]) }
        engine = Engine(
            EngineConfiguration(
                history: HistoryRules(types: types), halfLivesSeconds: halfLives ?? [61_200],
                mixture: mixture))
        users = Array(repeating: UserState(), count: userCount)
        self.itemCount = itemCount
        for number in 0..<itemCount {
            guard let id = ItemID("item-\(number)") else { continue }
            _ = engine.change(.set(ItemRecord(id: id, title: "Item \(number)"), json: []))
        }
        for _ in 0..<eventCount / 100 { expect(fold(records(100)) > 0, "nothing was stored") }
    }

    /// Records of the interactions topic, popular items more often than others.
    mutating func records(_ count: Int) -> [(user: Int, bytes: [UInt8])] {
        (0..<count).map { _ in
            eventNumber += 1
            let user = random.below(users.count)
            let item = random.below(1 + random.below(itemCount))
            let type = random.chance(0.1) ? "purchase" : "view"
            let json =
                #"{"user":"user-\#(user)","item":"item-\#(item)","type":"\#(type)","#
                + #""ts":\#(now + Milliseconds(eventNumber * 1_000)),"id":"event-\#(eventNumber)"}"#
            return (user, Array(json.utf8))
        }
    }

    /// A batch as the pipeline folds it: decoded, folded, its edits applied, and what a commit carries encoded.
    /// Returns the bytes of the commit.
    mutating func fold(_ records: [(user: Int, bytes: [UInt8])]) -> Int {
        var edits = StatisticsEditsWriter()
        var changed: Set<Int> = []
        for record in records {
            guard let entry = decoder[0].read(record.bytes, now: now * 2) else {
                expect(false, "a record was refused")
                continue
            }
            _ = engine.fold(entry, into: &users[record.user], edits: &edits)
            changed.insert(record.user)
        }
        let bytes = edits.finish(
            nextOffset: Offset(eventNumber), fingerprint: engine.configuration.history.fingerprint)
        do throws(MalformedBytes) { try engine.apply(edits: bytes) } catch {
            expect(false, "\(error)")
        }
        return bytes.count + changed.reduce(0) { $0 + users[$1].encoded().count }
    }
}

/// Gives the decoder, which cannot be copied, a place in a value that can.
private final class RecordReader {
    private var decoder = InteractionDecoder(types: types)

    func read(_ bytes: [UInt8], now: Milliseconds) -> LogEntry? {
        let outcome = decoder.decode(
            key: [UInt8]?.none, payload: bytes, recordTime: nil, now: now)
        if case .entry(let entry, _) = outcome { return entry } else { return nil }
    }
}

/// 1 000 events in batches of 100.
func countEvent() {
    var shop = Shop(userCount: 500, itemCount: 2_000, eventCount: 20_000)
    let batches = (0..<10).map { _ in shop.records(100) }
    measured {
        for batch in batches { expect(shop.fold(batch) > 0, "nothing was stored") }
    }
}

/// 100 lists of 20 out of 10 000 items.
func countRecommend() {
    let shop = Shop(userCount: 500, itemCount: 10_000, eventCount: 20_000)
    var listed = 0
    _ = shop.engine.recommend(shop.users[0], count: 20, rung: .cf, now: now * 2)
    measured {
        for user in shop.users[..<100] {
            listed += shop.engine.recommend(user, count: 20, rung: .cf, now: now * 2).count
        }
    }
    expect(listed == 2_000, "\(listed) items in 100 lists")
}

/// 100 lists of all sources out of 10 000 items, as the combiner learns from them.
func countMixture() {
    let shop = Shop(
        userCount: 500, itemCount: 10_000, eventCount: 20_000, mixture: MixtureConfiguration())
    var listed = 0
    _ = shop.engine.mixture(0, shop.users[0], now: now * 2)
    measured {
        for user in shop.users[..<100] {
            let mixed = shop.engine.mixture(0, user, now: now + 20_000_000)
            listed += mixed?.list.items.count ?? 0
        }
    }
    expect(listed > 4_000, "\(listed) items in 100 lists")
}

/// One fit of both stages to 100 lists, as many passes as in the daemon.
func countFit() {
    let shop = Shop(
        userCount: 500, itemCount: 10_000, eventCount: 20_000, mixture: MixtureConfiguration())
    var configuration = CombinerConfiguration()
    configuration.listsMin = 100
    var combiner = Combiner(configuration)
    for (index, user) in shop.users[..<100].enumerated() {
        guard let mixed = shop.engine.mixture(0, user, now: now + 20_000_000) else { continue }
        combiner.learn(ScoredList(list: mixed.list, target: index % 20))
    }
    guard let fit = combiner.takeOrder() else { return expect(false, "no fit was ordered") }
    var weights = combiner.weights
    measured { weights = fit.run() }
    expect(weights.version == 1 && weights != combiner.weights, "nothing was learnt")
}

/// 1 000 requests parsed, and a list of 20 items written for each.
func countRESP() {
    var request: [UInt8] = []
    RequestWriter.append(["REC.GET", "user-4711", "COUNT", "20", "WITHSCORES"], to: &request)
    let items = (0..<20).map { (id: "item-\($0)", score: 1 / Double($0 + 3)) }
    var parser = RequestParser()
    var writer = ReplyWriter(version: .resp3)
    var written = 0
    measured {
        for _ in 0..<1_000 {
            let outcome = parser.parse(request.span)
            expect(outcome == .request(bytes: request.count), "\(outcome)")
            writer.removeAll()
            writer.array(items.count)
            for item in items {
                writer.array(2)
                writer.bulk(item.id)
                writer.double(item.score)
            }
            written += writer.bytes.count
        }
    }
    expect(written > 100_000, "\(written) bytes written")
}
