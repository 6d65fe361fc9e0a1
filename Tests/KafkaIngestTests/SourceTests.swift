import Foundation
import Interactions
import Ports
import RecordDecoding
import Synchronization
import TestKit
import Testing

@testable import KafkaIngest

@Suite(.serialized) struct SourceTests {
    @Test("what is produced is delivered once, in order, with items beside it")
    func sequence() async throws {
        let broker = try standardBroker()
        let configuration = configuration(broker)
        let records = (0..<5_000).map { keyed("user\($0 % 97)", "item\($0)") }
        try produce(records, configuration)
        let member = try Member(configuration)
        #expect(await eventually { member.keeper.shared.count == 5_000 })
        #expect(member.keeper.state.withLock { $0.counts.map { [$0.0, $0.1] } } == [4, 2])
        #expect(member.keeper.shared.faults == [])
        for (partition, entries) in member.keeper.shared.entries {
            #expect(entries.map(\.offset) == Array(0..<Offset(entries.count)))
            for entry in entries {
                let home = Partitioner.murmur2.partition(of: entry.entry.user, count: 4)
                #expect(home == partition)
            }
        }
        try produce([keyed("late", "x")], configuration)
        #expect(await eventually { member.keeper.shared.count == 5_001 })
        let item = Array(#"{"title":"A chair"}"#.utf8)
        try produce(
            [
                OutgoingRecord(topic: "items", key: Array("i1".utf8), payload: item),
                OutgoingRecord(topic: "items", key: Array("i1".utf8), payload: nil),
            ], configuration)
        #expect(await eventually { member.keeper.state.withLock { $0.items.count } == 2 })
        let items = member.keeper.state.withLock { $0.items }
        #expect(items.last == .withdraw(try #require(ItemID("i1"))))
        #expect(await eventually { member.recorder.lastLag() == 0 })
        await member.stop()
    }

    @Test("reading begins at our stored offsets, and the group's commit follows the state")
    func positions() async throws {
        let broker = try standardBroker(interactions: 1)
        let configuration = configuration(broker)
        try produce((0..<100).map { keyed("u", "item\($0)") }, configuration)
        let shared = SharedState()
        shared.partitions.withLock { $0[0] = SharedState.Partition(nextOffset: 40) }
        let member = try Member(configuration, shared)
        #expect(await eventually { shared.count == 60 })
        #expect(shared.entries[0]?.first?.offset == 40)
        #expect(shared.faults == [])
        await member.stop()
        let offsets = try GroupOffsets(configuration: configuration, topic: "interactions")
        #expect(await eventually { offsets.committed() == [0: 100] })
    }

    @Test("every odd record has its outcome, and dead letters carry Connect's headers")
    func odd() async throws {
        let broker = try standardBroker(interactions: 1)
        let configuration = configuration(broker)
        let large = Array(repeating: UInt8(ascii: "x"), count: 1_000_000)
        let key = Array("u1".utf8)
        func record(_ key: [UInt8]?, _ payload: [UInt8]?) -> OutgoingRecord {
            OutgoingRecord(
                topic: "interactions", partition: 0, key: key, payload: payload,
                headers: [KafkaHeader(name: "trace", value: [1, 2, 3])])
        }
        let broken: [UInt8] = [0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x3A, 0x31, 0x7D]
        try produce(
            [
                record(key, event("u1", "a")), record(key, nil), record(nil, nil),
                record(key, large), record(key, broken), record(key, Array("garbage".utf8)),
                record(Array("u2".utf8), event("u1", "b")), record(key, event("u1", "c")),
            ], configuration)
        let member = try Member(configuration)
        let shared = member.keeper.shared
        #expect(await eventually { shared.nextOffset(0) == 8 })
        #expect(shared.entries[0]?.map(\.offset) == [0, 1, 7])
        #expect(shared.entries[0]?[1].entry == .forget(try #require(UserID("u1"))))
        #expect(await eventually { member.recorder.rejected("key-mismatch") == 1 })
        #expect(member.recorder.adjusted("empty") == 1)
        for reason in ["payload-too-large", "invalid-utf8", "invalid-json"] {
            #expect(member.recorder.rejected(reason) == 1, "\(reason)")
        }
        let letters = try DeadLetters(configuration: configuration, clock: SystemClock())
        var found: [DeadLetter] = []
        try letters.visit {
            found.append($0)
            return true
        }
        #expect(
            found.map(\.reason)
                == ["payload-too-large", "invalid-utf8", "invalid-json", "key-mismatch"])
        #expect(found.map(\.originOffset) == [3, 4, 5, 6])
        #expect(found.map(\.originTopic) == Array(repeating: "interactions", count: 4))
        #expect(found.map(\.payload) == [large, broken, Array("garbage".utf8), event("u1", "b")])
        #expect(found.first?.headers == [KafkaHeader(name: "trace", value: [1, 2, 3])])
        #expect(found.last?.key == Array("u2".utf8))
        try await readableWithKcat(configuration)
        await member.stop()
    }

    private func readableWithKcat(_ configuration: KafkaConfiguration) async throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/kcat") else {
            print("kcat is not installed: skipped")
            return
        }
        let output = try await ChildProcess.run(
            "kcat",
            [
                "-b", configuration.brokers, "-C", "-t", configuration.deadLetterTopic, "-e",
                "-q", "-f", "%k|%h\n",
            ])
        let lines = output.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines.last?.hasPrefix("u2|") == true)
        for part in [
            "__connect.errors.topic=interactions", "__connect.errors.partition=0",
            "__connect.errors.offset=6", "__connect.errors.connector.name=millrace",
            "__connect.errors.exception.class.name=key-mismatch", "__connect.errors.stage=",
        ] {
            #expect(lines.last?.contains(part) == true, "\(part)")
        }
    }

    @Test("records without a key or in a stranger's partition move home, once, and count once")
    func moves() async throws {
        let broker = try standardBroker()
        let configuration = configuration(broker)
        let user = try #require(UserID("wanderer"))
        let home = Partitioner.murmur2.partition(of: user, count: 4)
        let wrong = (home + 1) % 4
        func record(_ partition: PartitionIndex, _ key: String?, _ payload: [UInt8]?)
            -> OutgoingRecord
        {
            OutgoingRecord(
                topic: "interactions", partition: partition, key: key.map { Array($0.utf8) },
                payload: payload, timestamp: 1_700_000_000_000)
        }
        var stranded = record(wrong, "wanderer", event("wanderer", "d", id: "mine"))
        stranded.headers = [KafkaHeader(movedHeader, "interactions/0/0")]
        try produce(
            [
                record(wrong, nil, event("wanderer", "a")),
                record(home, nil, event("wanderer", "b", id: "mine")),
                record(wrong, "wanderer", event("wanderer", "c")),
                record(wrong, "wanderer", nil), stranded,
            ], configuration)
        let member = try Member(configuration)
        let shared = member.keeper.shared
        #expect(await eventually { shared.count == 4 })
        #expect(await eventually { member.recorder.rejected("partition-mismatch") == 1 })
        #expect(member.recorder.adjusted("rekeyed") == 4)
        #expect(shared.entries.filter { !$0.value.isEmpty }.keys.sorted() == [home])
        let interactions = shared.interactions()
        #expect(Set(interactions.map(\.item.text)) == ["a", "b", "c"])
        #expect(Set(interactions.map(\.time)) == [1_700_000_000_000])
        let keys = Dictionary(
            uniqueKeysWithValues: interactions.map { ($0.item.text, $0.eventKey) })
        #expect(keys["a"] == xxh64("interactions/\(wrong)/0"))
        #expect(keys["b"] == xxh64("mine"))
        #expect(keys["c"] == xxh64("interactions/\(wrong)/1"))
        await member.stop()
    }

    @Test("at the bound reading stops; what is outstanding stays bounded; it goes on at half")
    func backPressure() async throws {
        let broker = try standardBroker()
        var configuration = configuration(broker)
        configuration.prefetchRecordsMax = 1_000
        configuration.batchRecordsMax = 100
        try produce((0..<20_000).map { keyed("user\($0 % 50)", "item\($0)") }, configuration)
        let member = try Member(configuration, holding: true)
        let keeper = member.keeper
        #expect(
            await eventually {
                member.recorder.count { if case .ingestPaused = $0 { true } else { false } } == 1
            })
        let outstanding = keeper.state.withLock { $0.largestOutstanding }
        #expect((1_000...1_100).contains(outstanding))
        // Still a member after the session has timed out twice over, and still at the same bound.
        let patience = ContinuousClock.now + .seconds(2)
        #expect(await eventually { ContinuousClock.now > patience })
        #expect(keeper.state.withLock { $0.largestOutstanding } == outstanding)
        #expect(keeper.state.withLock { $0.lost.isEmpty && $0.failure == nil })
        keeper.letGo()
        #expect(await eventually { keeper.shared.count == 20_000 })
        #expect(keeper.shared.faults == [])
        member.source.setPaused(true)
        let before = keeper.shared.count
        #expect(
            await eventually {
                member.recorder.count {
                    if case .ingestPaused(reason: "pipeline") = $0 { true } else { false }
                } == 1
            })
        try produce([keyed("u", "x")], configuration)
        let moment = ContinuousClock.now + .milliseconds(300)
        #expect(await eventually { ContinuousClock.now > moment })
        #expect(keeper.shared.count == before)
        member.source.setPaused(false)
        #expect(await eventually { keeper.shared.count == before + 1 })
        await member.stop()
    }

    @Test("a topic that is missing is waited for; one that is forbidden ends the source")
    func topics() async throws {
        let broker = try standardBroker(interactions: 3)
        // Stands for a missing topic, which this broker would create when asked for it.
        broker.fail(topic: "interactions", with: KafkaError.Code(rawValue: 3))
        let configuration = configuration(broker)
        let member = try Member(configuration)
        #expect(
            await eventually {
                member.recorder.count {
                    if case .note(.warning, let text, _) = $0 {
                        text.contains("`interactions`")
                    } else {
                        false
                    }
                } > 0
            })
        broker.fail(topic: "interactions", with: nil)
        #expect(await eventually { member.keeper.state.withLock { $0.owned.count } == 3 })
        await member.stop()

        broker.fail(topic: "items", with: KafkaError.Code(rawValue: 29))
        let refused = try Member(configuration)
        #expect(await eventually { refused.keeper.state.withLock { $0.failure != nil } })
        let reason = refused.keeper.state.withLock { $0.failure }
        #expect(reason?.contains("TOPIC_AUTHORIZATION_FAILED") == true)
        await refused.stop()
    }

    @Test("nothing is lost or read twice while the broker is away")
    func brokerDown() async throws {
        let broker = try standardBroker()
        let configuration = configuration(broker)
        let member = try Member(configuration)
        let shared = member.keeper.shared
        try produce((0..<500).map { keyed("user\($0 % 50)", "item\($0)") }, configuration)
        #expect(await eventually { shared.count == 500 })
        broker.setDown(true)
        let sent = Mutex(0)
        for index in 500..<600 {
            let user = try #require(UserID("user\(index % 50)"))
            let item = try #require(ItemID("item\(index)"))
            member.sink.produce(
                ProducedInteraction(user: user, item: item, type: "view", time: 1_700_000_000_000)
            ) { result in
                if case .success = result { sent.withLock { $0 += 1 } }
            }
        }
        let patience = ContinuousClock.now + .seconds(2)
        #expect(await eventually { ContinuousClock.now > patience })
        broker.setDown(false)
        #expect(await eventually { sent.withLock { $0 } == 100 })
        #expect(await eventually { shared.count == 600 })
        #expect(shared.faults == [])
        #expect(Set(shared.interactions().map(\.item.text)).count == 600)
        await member.stop()
    }

    @Test(
        "an offset that the log no longer has is reported, and reading goes on where told",
        arguments: ["range", "cooperative-sticky"])
    func gap(strategy: String) async throws {
        let broker = try standardBroker(interactions: 1)
        var configuration = configuration(broker)
        configuration.settings["partition.assignment.strategy"] = strategy
        // The broker keeps about 5 MiB a partition: the beginning is gone.
        let padding = #","x":"\#(String(repeating: "y", count: 4_000))""#
        let records = (0..<3_000).map { index in
            OutgoingRecord(
                topic: "interactions", key: Array("u".utf8),
                payload: event("u", "item\(index)", extra: padding))
        }
        try produce(records, configuration)
        let shared = SharedState()
        shared.partitions.withLock { $0[0] = SharedState.Partition(nextOffset: 10) }
        let member = try Member(configuration, shared)
        #expect(await eventually { !member.keeper.state.withLock { $0.gaps.isEmpty } })
        let gap = try #require(member.keeper.state.withLock { $0.gaps.first })
        #expect(gap.0 == 0 && gap.1 == 10 && gap.2 > 10)
        #expect(await eventually { shared.nextOffset(0) == 3_000 })
        #expect(shared.entries[0]?.first?.offset == gap.2)
        #expect(shared.entries[0]?.count == Int(3_000 - gap.2))
        #expect(member.keeper.state.withLock { $0.gaps.count } == 1)
        await member.stop()
    }
}
