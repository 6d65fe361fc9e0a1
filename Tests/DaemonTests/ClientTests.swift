// Tools we did not write, against the running daemon: Redis clients on the socket, Kafka clients on the topics, curl
// on the metrics.

import Foundation
import Glibc
import Interactions
import KafkaIngest
import Simulation
import TestKit
import Testing
import WireProtocol

/// The Python of `MILLRACE_TEST_PYTHON` or the system's, when it has the module.
func python(with module: String) -> String? {
    let candidate = ProcessInfo.processInfo.environment["MILLRACE_TEST_PYTHON"] ?? "python3"
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [candidate, "-c", "import \(module)"]
    process.standardError = FileHandle.nullDevice
    try? process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? candidate : nil
}

let pythonWithRedis = python(with: "redis")
private let pythonWithKafka = python(with: "confluent_kafka")

extension DaemonTests {
    @Suite("is used by stock clients", .serialized)
    struct Clients {
        @Test(
            "kcat writes in, redis-cli reads out, kcat reads what was refused, curl reads the metrics"
        )
        func tools() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            try await daemon.start()
            try await kcat(
                broker, topic: "items",
                lines: (0..<5).map { #"i\#($0)|{"title":"item \#($0)"}"# })
            try await kcat(
                broker, topic: "interactions",
                lines: (0..<40).map {
                    #"u\#($0 % 7)|{"user":"u\#($0 % 7)","item":"i\#($0 % 4)","type":"view"}"#
                } + ["u1|nonsense", #"u1|{"user":"u1","item":"i1","type":"dance"}"#])
            let applied = await holds { try daemon.info("events_applied") == "40" }
            #expect(applied, "\(daemon.lastWords)")
            let listed = await holds { try daemon.info("items") == "5" }
            #expect(listed)
            let list = try await ChildProcess.run(
                "redis-cli", ["-s", daemon.socketPath, "REC.GET", "nobody", "COUNT", "10"])
            #expect(Set(list.split(separator: "\n")) == ["i0", "i1", "i2", "i3", "i4"])
            let filtered = try await ChildProcess.run(
                "redis-cli",
                ["-s", daemon.socketPath, "REC.GET", "nobody", "FILTER", "id IN ('i1', \"i3\")"])
            #expect(Set(filtered.split(separator: "\n")) == ["i1", "i3"])

            let letters = try await ChildProcess.run(
                "kcat",
                [
                    "-C", "-b", broker.servers, "-t", "millrace-dead-letters", "-o", "beginning",
                    "-c", "2",
                    "-f", "%k %s %h\n",
                ])
            #expect(letters.contains("u1 nonsense "))
            #expect(letters.contains("__connect.errors.topic=interactions"), "\(letters)")
            #expect(letters.contains("unknown-type") && letters.contains("invalid-json"))

            let metrics = try await curl(daemon, "metrics")
            #expect(metrics.contains("# TYPE millrace_dead_letters_total counter"))
            #expect(metrics.contains(#"millrace_dead_letters_total{reason="invalid-json"} 1"#))
            #expect(try await curl(daemon, "livez").contains("alive"))
            #expect(try await curl(daemon, "readyz").contains("ready"))

            let benchmark = try await ChildProcess.run(
                "redis-benchmark",
                [
                    "-s", daemon.socketPath, "-c", "8", "-n", "4000", "-P", "8", "-q", "REC.GET",
                    "u1",
                ])
            #expect(benchmark.contains("requests per second") && !benchmark.contains("rror"))
        }

        private func curl(_ daemon: Daemon, _ path: String) async throws -> String {
            try await ChildProcess.run(
                "curl", ["-s", "--unix-socket", daemon.operationsPath, "http://millrace/\(path)"])
        }

        private func kcat(_ broker: Broker, topic: String, lines: [String]) async throws {
            let child = try ChildProcess(
                "kcat",
                [
                    "-P", "-b", broker.servers, "-t", topic, "-K|", "-X",
                    "topic.partitioner=murmur2_random",
                ], keepsInputOpen: true)
            try child.write(lines.joined(separator: "\n") + "\n")
            child.closeInput()
            #expect(await child.wait() == 0, "\(child.errors)")
        }

        @Test(
            "redis-py adds events, reads lists and waits for feeds in both protocols",
            .enabled(
                if: pythonWithRedis != nil,
                "no python3 with the redis module (MILLRACE_TEST_PYTHON)"),
            arguments: [2, 3])
        func redisPy(version: Int) async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            try await daemon.start()
            let script = """
                import redis, sys, time
                r = redis.Redis(unix_socket_path=sys.argv[1], protocol=\(version), decode_responses=True)
                def until(check):
                    end = time.time() + 20
                    while not check():
                        assert time.time() < end
                        time.sleep(0.01)
                for i in range(6):
                    r.execute_command('ITEM.SET', f'i{i}', '{"title":"t"}')
                until(lambda: len(r.execute_command('REC.GET', 'u')) == 6)
                r.xread({'feed:u': '0'}, count=1)
                assert ':' in r.execute_command('EVENT.ADD', 'u', 'i0', 'view', 'ID', 'x')
                r.execute_command('EVENT.ADD', 'u', 'i0', 'view', 'ID', 'x')
                until(lambda: 'i0' not in r.execute_command('REC.GET', 'u'))
                user = r.execute_command('USER.GET', 'u')
                user = user if isinstance(user, dict) else dict(zip(user[::2], user[1::2]))
                assert user['events'] == 1, user
                assert r.info('stream')['state'] == 'ready'
                p = r.pubsub(); p.subscribe('feed:u'); p.get_message(timeout=5)
                r.execute_command('EVENT.ADD', 'u', 'i1', 'like')
                m = None
                until(lambda: (m := p.get_message(timeout=1)) is not None and m['type'] == 'message')
                r.execute_command('USER.FORGET', 'u')
                assert r.execute_command('USER.GET', 'u') is None
                print('done')
                """
            let output = try await ChildProcess.run(
                pythonWithRedis ?? "python3", ["-c", script, daemon.socketPath])
            #expect(output == "done\n")
        }

        @Test(
            "confluent-kafka writes in, and reads what was refused with its reason",
            .enabled(
                if: pythonWithKafka != nil,
                "no python3 with confluent_kafka (MILLRACE_TEST_PYTHON)"))
        func confluentKafka() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            try await daemon.start()
            let script = """
                import json, sys, time
                from confluent_kafka import Consumer, Producer
                servers = sys.argv[1]
                p = Producer({'bootstrap.servers': servers, 'partitioner': 'murmur2_random',
                              'enable.idempotence': True, 'compression.type': 'lz4'})
                for i in range(30):
                    user = f'u{i % 5}'
                    event = {'user': user, 'item': f'i{i % 3}', 'type': 'view', 'id': f'e{i % 25}'}
                    p.produce('interactions', json.dumps(event), key=user)
                p.produce('interactions', b'\\xff\\xfe', key='u1')
                assert p.flush(20) == 0
                c = Consumer({'bootstrap.servers': servers, 'group.id': 'reader',
                              'auto.offset.reset': 'earliest', 'fetch.wait.max.ms': 5})
                c.subscribe(['millrace-dead-letters'])
                end = time.time() + 30
                message = None
                while message is None or message.error():
                    assert time.time() < end
                    message = c.poll(0.2)
                headers = dict(message.headers())
                print(message.key().decode(), headers['__connect.errors.topic'].decode(),
                      message.value() == b'\\xff\\xfe')
                c.close()
                """
            let output = try await ChildProcess.run(
                pythonWithKafka ?? "python3", ["-c", script, broker.servers])
            #expect(output == "u1 interactions True\n")
            let applied = await holds {
                try daemon.info("events_applied") == "30"
                    && daemon.info("events_duplicate") == "5"
            }
            #expect(applied, "\(daemon.lastWords)")
        }
    }
}
