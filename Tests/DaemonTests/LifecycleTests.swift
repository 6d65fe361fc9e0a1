// Start, reload, drain and hand-over as systemd does them; and what a wrong configuration does.

import Foundation
import Glibc
import Interactions
import KafkaIngest
import Simulation
import TestKit
import Testing
import WireProtocol

extension DaemonTests {
    @Suite("lives as systemd wants it", .serialized)
    struct Lifecycle {
        @Test("it tells when it is ready, reloads, stops; and feeds the watchdog")
        func notifications() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            let systemd = try NotifySocket()
            try daemon.spawn(environment: [
                "NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "1000000",
            ])
            #expect(await systemd.heard("READY=1"), "\(daemon.lastWords)")
            #expect(await systemd.heard("WATCHDOG=1"))
            systemd.forget()
            let before = try String(contentsOfFile: daemon.configurationPath, encoding: .utf8)

            // A faulty file changes nothing, and says where it is faulty.
            try daemon.write(before.replacing("log-level: info", with: "log-levle: debug"))
            daemon.process?.signal(SIGHUP)
            #expect(await systemd.heard("RELOADING=1"))
            #expect(await systemd.heard("READY=1"))
            let refused = await holds {
                daemon.errors.contains("log-levle") && daemon.errors.contains("nothing was changed")
            }
            #expect(refused, "\(daemon.lastWords)")
            #expect(try daemon.ask("PING").text == "PONG")

            systemd.forget()
            try daemon.write(before.replacing("log-level: info", with: "log-level: notice"))
            daemon.process?.signal(SIGHUP)
            #expect(await systemd.heard("RELOADING=1"))
            #expect(await systemd.heard("READY=1"))
            let told = await holds { daemon.errors.contains("telemetry.log-level") }
            #expect(told, "\(daemon.lastWords)")

            systemd.forget()
            #expect(await daemon.terminate() == 0)
            #expect(await systemd.heard("STOPPING=1"))
            #expect(!FileManager.default.fileExists(atPath: daemon.socketPath))
        }

        @Test(
            "SIGTERM in the middle of a stream drains: what was begun is committed, the rest comes later"
        )
        func drain() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            var log = SimulatedLog(seed: 11)
            try await daemon.start()
            for _ in 0..<4 {
                let first = log.records.count
                log.extend(by: 2_000, odd: false)
                try await broker.produce(log.wire[first...])
                #expect(await daemon.terminate() == 0, "\(daemon.lastWords)")
                try await daemon.start()
            }
            let reference = log.reference()
            #expect(await settle([daemon], on: reference.digests) == reference.digests)
        }

        @Test("SIGTERM at any moment after the first answer ends it with 0", arguments: 0..<6)
        func earlyStop(twenties: Int) async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            try daemon.spawn()
            let answered = await holds { (try? daemon.ask("PING").text) == "PONG" }
            #expect(answered, "\(daemon.lastWords)")
            if twenties > 0 { try await momentOfFault(twenties * 20) }
            #expect(await daemon.terminate() == 0, "\(daemon.lastWords)")
        }

        @Test("systemd-socket-activate hands the client socket over")
        func activation() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            let path = daemon.directory.file("passed")
            let process = try ChildProcess(
                "systemd-socket-activate",
                ["--fdname=client", "-l", path, millrace, "serve", "-c", daemon.configurationPath])
            let listening = await holds { FileManager.default.fileExists(atPath: path) }
            try #require(listening, "\(process.errors)")
            let answered = await holds(within: .seconds(30)) {
                (try? SocketConnection(path).ask("PING").text) == "PONG"
            }
            #expect(answered, "\(process.errors)")
            #expect(!FileManager.default.fileExists(atPath: daemon.socketPath))
            process.signal(SIGTERM)
            let status = await process.wait(within: .seconds(40))
            #expect(status == 0, "\(process.errors)")
            #expect(FileManager.default.fileExists(atPath: path))
        }

        @Test("a wrong configuration exits 78 and names the line and what was meant")
        func wrongConfiguration() async throws {
            let daemon = try Daemon(broker: "127.0.0.1:1", redis: "/nowhere")
            try daemon.write("redis:\n  adress: unix:/x\n")
            try daemon.spawn()
            #expect(await daemon.process?.wait() == 78)
            #expect(daemon.errors.contains("adress") && daemon.errors.contains("address"))
            #expect(daemon.errors.contains(":2:"), "\(daemon.errors)")
        }

        @Test("it waits for Redis and the broker that are not there yet, and stops when asked to")
        func nobodyThere() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            await redis.kill()
            let daemon = try Daemon(broker: broker.servers, redis: redis.socketPath)
            try daemon.spawn()
            let up = await holds { (try? daemon.ask("PING").text) == "PONG" }
            #expect(up, "\(daemon.lastWords)")
            #expect(try daemon.info("state") == "recovering")
            try await redis.start()
            let ready = await holds { (try? daemon.info("state")) == "ready" }
            #expect(ready, "\(daemon.lastWords)")
            #expect(await daemon.terminate() == 0)

            let alone = try Daemon(broker: "127.0.0.1:1", redis: redis.socketPath)
            try alone.spawn()
            let waiting = await holds { (try? alone.ask("PING").text) == "PONG" }
            #expect(waiting, "\(alone.lastWords)")
            #expect(await alone.terminate() == 0)
        }
    }
}
