import Foundation
import Interactions
import Ports
import RecordDecoding
import Synchronization
import TestKit
import Testing

@testable import KafkaIngest

@Suite(.serialized) struct ToolTests {
    @Test(
        "the sink keys by user, agrees with our partitioner and says where the record is",
        arguments: Partitioner.allCases)
    func sink(partitioner: Partitioner) async throws {
        let broker = try standardBroker(interactions: 7)
        var configuration = configuration(broker)
        configuration.partitioner = partitioner
        let member = try Member(configuration)
        let places = Mutex<[String: LogPosition]>([:])
        let users = (0..<50).map { "user \"\($0)\"\n\u{1F600}" }
        for name in users {
            let user = try #require(UserID(name))
            let item = try #require(ItemID("back\\slash"))
            member.sink.produce(
                ProducedInteraction(
                    user: user, item: item, type: "purchase", time: 1_700_000_000_123,
                    eventID: "e-\(name)", value: 2.5)
            ) { result in
                if case .success(let place) = result { places.withLock { $0[name] = place } }
            }
        }
        #expect(await eventually { places.withLock { $0.count } == users.count })
        for name in users {
            let home = partitioner.partition(of: name.utf8.span, count: 7)
            #expect(places.withLock { $0[name]?.partition } == home)
        }
        let shared = member.keeper.shared
        #expect(await eventually { shared.count == users.count })
        #expect(member.recorder.adjusted("rekeyed") == 0)
        let some = try #require(shared.interactions().first)
        #expect(some.item.text == "back\\slash")
        #expect(some.type == 1 && some.value == 2.5 && some.time == 1_700_000_000_123)
        #expect(some.eventKey == xxh64("e-\(some.user.text)"))

        let refused = Mutex<PortError?>(nil)
        member.sink.produce(
            ProducedInteraction(
                user: some.user, item: some.item, type: "view", time: 0, value: .nan)
        ) { result in
            if case .failure(let error) = result { refused.withLock { $0 = error } }
        }
        #expect(await eventually { refused.withLock { $0?.code } == .refused })
        let forgotten = Mutex(false)
        member.sink.produceForget(some.user) { _ in forgotten.withLock { $0 = true } }
        let id = try #require(ItemID("i1"))
        member.sink.produceItem(id, json: Array(#"{"title":"T"}"#.utf8)) { _ in }
        member.sink.produceItem(id, json: nil) { _ in }
        #expect(await eventually { forgotten.withLock { $0 } })
        #expect(await eventually { shared.count == users.count + 1 })
        #expect(await eventually { member.keeper.state.withLock { $0.items.count } == 2 })
        await member.stop()
    }

    @Test("a letter is replayed once it can be applied, keyed right, and counts once")
    func replay() async throws {
        let broker = try standardBroker()
        var configuration = configuration(broker)
        let sneeze = Array(#"{"user":"u1","item":"a","type":"sneeze"}"#.utf8)
        func record(_ key: String, _ payload: [UInt8]) -> OutgoingRecord {
            OutgoingRecord(
                topic: "interactions", key: Array(key.utf8), payload: payload,
                timestamp: 1_700_000_000_000)
        }
        try produce(
            [
                record("u1", sneeze), record("u2", event("u3", "b", id: "e")),
                record("u1", Array("junk".utf8)),
                OutgoingRecord(
                    topic: "items", key: Array("i9".utf8), payload: Array(#"{"x":1}"#.utf8)),
            ], configuration)
        let before = try Member(configuration)
        #expect(await eventually { before.recorder.rejected("invalid-json") == 1 })
        #expect(await eventually { before.recorder.rejected("unknown-type") == 1 })
        #expect(await eventually { before.recorder.rejected("key-mismatch") == 1 })
        #expect(await eventually { before.recorder.rejected("missing-field") == 1 })
        // A record that is read again under the new types is no letter's record any more.
        #expect(await eventually { before.keeper.shared.recordsBehind == 3 })
        await before.stop()

        configuration.eventTypes = EventTypes(
            testTypes.all + [EventType(name: "sneeze", weight: 1, seen: .never)])
        let after = try Member(configuration, before.keeper.shared)
        let letters = try DeadLetters(configuration: configuration, clock: SystemClock())
        let result = try letters.replay(through: after.sink)
        #expect(result.read == 4 && result.replayed == 2)
        #expect(result.refused == ["invalid-json": 1, "missing-field": 1])
        let shared = after.keeper.shared
        #expect(await eventually { shared.count == 2 })
        let found = Dictionary(
            uniqueKeysWithValues: shared.interactions().map { ($0.item.text, $0) })
        #expect(found["a"]?.time == 1_700_000_000_000)
        let home = Partitioner.murmur2.partition(of: "u1".utf8.span, count: 4)
        #expect(found["a"]?.eventKey == xxh64("interactions/\(home)/0"))
        #expect(found["b"]?.user.text == "u3")
        #expect(found["b"]?.eventKey == xxh64("e"))
        #expect(try letters.replay(through: after.sink).read == 0)
        #expect(try letters.replay(through: after.sink, all: true).read == 4)
        await after.stop()
    }

    @Test("the bulk producer never runs further ahead of the group than the broker keeps")
    func flow() async throws {
        let broker = try standardBroker(interactions: 2)
        let configuration = configuration(broker)
        let padding = #","x":"\#(String(repeating: "z", count: 1_000))""#
        let count = 20_000  // about 11 MB a partition: more than twice what the broker keeps
        let records = (0..<count).lazy.map { index in
            BulkRecord(
                key: Array("user\(index % 40)".utf8),
                payload: event("user\(index % 40)", "item\(index)", extra: padding),
                timestamp: 1_700_000_000_000 + Milliseconds(index))
        }
        let member = try Member(configuration)
        let offsets = try GroupOffsets(configuration: configuration, topic: "interactions")
        let producer = try BulkProducer(
            configuration: configuration, topic: "interactions", clock: SystemClock())
        let reports = Mutex<[BulkProgress]>([])
        let result = try producer.run(
            records, ahead: AheadLimit { offsets.committed() },
            progress: { progress in reports.withLock { $0.append(progress) } })
        #expect(result.produced == count && result.acknowledged == count)
        #expect(reports.withLock { $0.contains(where: \.isWaiting) })
        let shared = member.keeper.shared
        #expect(await eventually { shared.count == count })
        #expect(member.keeper.state.withLock { $0.gaps.isEmpty })
        #expect(shared.faults == [])
        #expect(shared.interactions().map(\.time).max() == 1_700_000_000_000 + Int64(count) - 1)
        await member.stop()
    }

    @Test("the recorded pace is kept, and a cancelled run stops")
    func pace() async throws {
        let broker = try standardBroker()
        let producer = try BulkProducer(
            configuration: configuration(broker), topic: "interactions", clock: SystemClock())
        let records = (0..<5).map {
            BulkRecord(key: [1], payload: [2], timestamp: Milliseconds($0) * 1_000)
        }
        let result = try producer.run(records, pace: .recorded(factor: 10))
        #expect(result.produced == 5)
        #expect(result.elapsedSeconds >= 0.4)
        #expect(try producer.run(records, isCancelled: { true }).produced == 0)
        let stuck = try producer.run(
            (0..<10).map { BulkRecord(key: [1], payload: [2], timestamp: $0) },
            ahead: AheadLimit(bytesPerPartitionMax: 100) { [:] },
            isCancelled: OnceTrueAfter(seconds: 0.5).callAsFunction)
        #expect(stuck.produced < 10)
    }

    @Test("a log is read line by line; what is no event is counted and named")
    func log() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("log.jsonl")
        let lines = [
            String(decoding: event("u1", "a", extra: #","ts":1700000000000"#), as: UTF8.self), "",
            "junk", #"{"user":"u1","item":"b","type":"view"}"#,
            String(repeating: "x", count: 3_000_000),
            String(decoding: event("u2", "c", extra: #","ts":1700000000001"#), as: UTF8.self),
        ]
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        let log = try EventLog(path: path, configuration: configuration(servers: "127.0.0.1:1"))
        let records = Array(log)
        #expect(records.map(\.key) == [Array("u1".utf8), Array("u2".utf8)])
        #expect(records.map(\.timestamp) == [1_700_000_000_000, 1_700_000_000_001])
        #expect(records.first?.payload == Array(lines[0].utf8))
        #expect(log.rejectedLines >= 3)
        #expect(log.firstRejection?.hasPrefix("line 3: invalid-json") == true)
        #expect(throws: KafkaError.self) {
            try EventLog(path: "/nonexistent", configuration: configuration(servers: "x"))
        }
    }

    @Test("the development broker obeys its commands")
    func broker() async throws {
        let commands = Mutex(["rtt 0", "error 0 7 1", "down 50", "dance"])
        let answers = Mutex<[String]>([])
        try runDevelopmentBroker(
            topics: [("t", 3)], brokers: 2,
            announce: { answer in answers.withLock { $0.append(answer) } },
            nextCommand: { commands.withLock { $0.isEmpty ? nil : $0.removeFirst() } })
        let said = answers.withLock { $0 }
        #expect(said.first?.split(separator: ",").count == 2)
        #expect(said[1...3] == ["ok", "ok", "up"])
        #expect(said.last?.hasPrefix("unknown command `dance`") == true)
    }

    @Test("confluent-kafka produces what we read and reads what we produce")
    func confluent() async throws {
        let probe = try? await ChildProcess.run("python3", ["-c", "import confluent_kafka"])
        guard probe != nil else {
            print("confluent-kafka is not importable by python3: skipped")
            return
        }
        let broker = try standardBroker()
        let member = try Member(configuration(broker))
        let script = """
            import sys, confluent_kafka as k
            servers = sys.argv[1]
            p = k.Producer({'bootstrap.servers': servers, 'partitioner': 'murmur2_random'})
            for i in range(100):
                value = '{"user":"user%d","item":"i","type":"view"}' % i
                p.produce('interactions', key=f'user{i}', value=value)
            p.produce('interactions', key='user0', value='junk')
            assert p.flush(10) == 0
            c = k.Consumer({'bootstrap.servers': servers, 'group.id': 'peer'})
            c.assign([k.TopicPartition('millrace-dead-letters', 0, 0)])
            m = c.poll(20)
            assert m is not None and m.error() is None, m
            reason = dict(m.headers())['__connect.errors.exception.class.name']
            print(reason.decode(), m.value().decode())
            c.close()
            """
        let output = try await ChildProcess.run(
            "python3", ["-c", script, broker.bootstrapServers])
        #expect(output == "invalid-json junk\n")
        #expect(await eventually { member.keeper.shared.count == 100 })
        #expect(member.recorder.adjusted("rekeyed") == 0)
        await member.stop()
    }
}

private struct OnceTrueAfter {
    let moment: ContinuousClock.Instant
    init(seconds: Double) { moment = ContinuousClock.now + .seconds(seconds) }
    func callAsFunction() -> Bool { ContinuousClock.now >= moment }
}
