// The shop of the demo: a first batch of events, a tour of what can be asked, and then life until Ctrl-C.

import Evaluation
import Glibc
import Interactions
import KafkaIngest
import WireProtocol

extension DemoCommand {
    func shop(on stage: DemoStage, _ signals: inout Signals) throws {
        let configuration = try stage.kafka()
        let clock = SystemClock()
        var simulator = ShopSimulator(
            ShopConfiguration(
                seed: 1, users: 2_000, items: 500, eventsPerDay: Double(events) / 30))
        let client = try SocketClient(path: stage.socket)
        let catalogue = simulator.catalogue.map {
            BulkRecord(
                key: Array($0.id.text.utf8),
                payload: Array(SimulatedEvent.json($0, time: nil).utf8), timestamp: nil)
        }
        let items = try BulkProducer(
            configuration: configuration, topic: configuration.itemsTopic, clock: clock)
        _ = try items.run(catalogue)
        say(
            "a shop with \(grouped(catalogue.count)) items opens; \(grouped(events)) events stream in"
        )
        let producer = try BulkProducer(
            configuration: configuration, topic: configuration.interactionsTopic, clock: clock)
        let offsets = try GroupOffsets(
            configuration: configuration, topic: configuration.interactionsTopic)
        let begin = clock.monotonicSeconds
        let batch = Self.records(&simulator, count: events)
        let progress = ProgressLine("streaming", total: batch.events.count)
        _ = try items.run(batch.items)
        let done = try producer.run(
            batch.events, ahead: AheadLimit { offsets.committed() },
            progress: { progress.update($0.acknowledged) })
        progress.finish()
        try Wait.until("every event is durable", &signals) {
            try StreamInfo(client).committedOffsets >= done.acknowledged
        }
        let info = try StreamInfo(client)
        say(
            "\(grouped(done.acknowledged)) events of \(grouped(info.users)) users are durable in Redis "
                + "after \(fixed(clock.monotonicSeconds - begin, 1)) s, "
                + "\(info.userBytes / max(1, info.users)) bytes a user")
        let user = batch.busiestUser
        try tour(of: user, client, stage)
        try refresh(
            catalogue: catalogue + batch.items, events: batch.events, showing: user, client, stage,
            &signals)
        say("look around: redis-cli -s \(stage.socket) INFO")
        say("metrics: curl -s --unix-socket \(stage.operationsSocket) http://localhost/metrics")
        guard !once, isatty(STDOUT_FILENO) == 1 else { return }
        try live(&simulator, producer, items, user, client, stage, &signals)
    }

    /// The next events and item records, moved so that the last event happens now: the past decays, and the future
    /// is refused.
    private static func records(
        _ simulator: inout ShopSimulator, count: Int
    ) -> (events: [BulkRecord], items: [BulkRecord], busiestUser: String) {
        var drawn: [SimulatedEvent] = []
        var activity: [String: Int] = [:]
        var eventCount = 0
        while eventCount < count {
            let next = simulator.next()
            drawn.append(next)
            guard case .interaction(let user, _, _, _) = next.kind else { continue }
            activity[user.text, default: 0] += 1
            eventCount += 1
        }
        let shift = SystemClock().wallMilliseconds - (drawn.last?.time ?? 0)
        var events: [BulkRecord] = []
        var items: [BulkRecord] = []
        for index in drawn.indices {
            drawn[index].time += shift
            let payload = Array(drawn[index].json.utf8)
            switch drawn[index].kind {
            case .interaction(let user, _, _, _):
                events.append(
                    BulkRecord(
                        key: Array(user.text.utf8), payload: payload, timestamp: drawn[index].time))
            case .item(let record):
                items.append(
                    BulkRecord(key: Array(record.id.text.utf8), payload: payload, timestamp: nil))
            }
        }
        let busiest = activity.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? ""
        return (events: events, items: items, busiestUser: busiest)
    }

    // MARK: - The tour

    private func tour(of user: String, _ client: SocketClient, _ stage: DemoStage) throws {
        let before = try list(of: user, client)
        say("REC.GET \(user) COUNT 8, answered by \(try rung(of: user, client))")
        show(before)
        guard let chosen = before.first else { throw CommandFailure("the list is empty") }
        let feed = "feed:\(user)"
        let first = try client.ask("XREAD", "COUNT", "1", "STREAMS", feed, "0")
        guard let id = Self.firstEntryID(first) else {
            throw CommandFailure("the feed of \(user) has no entry")
        }
        say("the user buys \(chosen.title ?? chosen.id): EVENT.ADD \(user) \(chosen.id) purchase")
        let start = SystemClock().monotonicSeconds
        let position = try client.ask("EVENT.ADD", user, chosen.id, "purchase")
        let woken = try client.ask("XREAD", "BLOCK", "5000", "STREAMS", feed, id)
        let milliseconds = (SystemClock().monotonicSeconds - start) * 1_000
        guard let next = Self.firstEntryID(woken) else {
            throw CommandFailure("the feed of \(user) did not change within five seconds")
        }
        say(
            "the log has it at \(position.text ?? "?"); the feed changed to \(next) after "
                + "\(fixed(milliseconds, 1)) ms, from socket to socket:")
        let after = try list(of: user, client)
        show(after, before: before)
        guard !after.contains(where: { $0.id == chosen.id }) else {
            throw CommandFailure("\(chosen.id) is still in the list although it was bought")
        }
        if let second = after.first {
            say("why the first? REC.EXPLAIN \(user) \(second.id)")
            try explain(user, second.id, client)
        }
    }

    /// Who makes the list: `mix` once the combiner has learnt enough.
    private func rung(of user: String, _ client: SocketClient) throws -> String {
        let reply = try client.ask("REC.GET", user, "COUNT", "8", "ASOF")
        return Self.elements(reply).first?["rung"]?.text ?? "?"
    }

    func list(
        of user: String, _ client: SocketClient, mode: String = "auto"
    ) throws -> [ShownItem] {
        let reply = try client.ask("REC.GET", user, "COUNT", "8", "MODE", mode)
        let ids = Self.elements(reply).compactMap(\.text)
        let titles = try client.titles(ids)
        return ids.map { ShownItem(id: $0, title: titles[$0]) }
    }

    func show(_ items: [ShownItem], before: [ShownItem] = []) {
        for (place, item) in items.enumerated() {
            var mark = " "
            if !before.isEmpty {
                let old = before.firstIndex { $0.id == item.id }
                mark = old.map { $0 > place ? "↑" : $0 < place ? "↓" : " " } ?? "+"
            }
            let title = Terminal.harmless(item.title ?? "")
            Terminal.line("  \(mark) \(place + 1). \(Terminal.padded(item.id, 10)) \(title)")
        }
    }

    private func explain(_ user: String, _ item: String, _ client: SocketClient) throws {
        let shown = ExplanationShown(try client.ask("REC.EXPLAIN", user, item, "EVENTS"), count: 3)
        let titles = try client.titles(shown.items)
        for line in shown.lines(user: user, titles: titles) { Terminal.line("    " + line) }
    }

    static func elements(_ reply: Reply) -> [Reply] {
        if case .array(let values) = reply { return values }
        return []
    }

    /// The id of the first entry of an XREAD reply, in either protocol version.
    static func firstEntryID(_ reply: Reply) -> String? {
        switch reply {
        case .map(let pairs):
            pairs.first.flatMap { elements($0.value).first }
                .flatMap { elements($0).first?.text }
        case .array(let streams):
            streams.first.flatMap { elements($0).last }.flatMap { elements($0).first }
                .flatMap { elements($0).first?.text }
        default: nil
        }
    }

    // MARK: - Until Ctrl-C

    private func live(
        _ simulator: inout ShopSimulator, _ producer: BulkProducer, _ items: BulkProducer,
        _ user: String, _ client: SocketClient, _ stage: DemoStage, _ signals: inout Signals
    ) throws {
        say("the shop goes on, about 500 events a second; Ctrl-C ends it")
        var shown: [ShownItem] = []
        while true {
            let batch = Self.records(&simulator, count: 100)
            _ = try items.run(batch.items)
            _ = try producer.run(batch.events)
            let now = try list(of: user, client)
            if now.map(\.id) != shown.map(\.id) {
                let info = try StreamInfo(client)
                say("\(grouped(info.eventsApplied)) events; the feed of \(user) now:")
                show(now, before: shown)
                shown = now
            }
            if signals.wait(milliseconds: 200) == .stop { return }
        }
    }
}
