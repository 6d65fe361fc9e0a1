// Teachers in the running daemon: solved beside the stream, served by name, kept over a restart, and in nobody's way.

import Foundation
import Glibc
import Interactions
import KafkaIngest
import Pipeline
import Ports
import Recommender
import Simulation
import Teachers
import TestKit
import Testing
import WireProtocol

extension Daemon {
    /// A field of the line that INFO has about a teacher.
    fileprivate func model(_ name: String, _ field: String) throws -> Int {
        let line = try info("teacher_\(name)") ?? ""
        let part = line.split(separator: ",").first { $0.hasPrefix(field + "=") }
        return part.flatMap { Int($0.dropFirst(field.count + 1)) } ?? 0
    }

    fileprivate func isSolving(_ name: String) throws -> Bool {
        try info("teacher_\(name)")?.contains("work=solving") == true
    }

    fileprivate func list(
        _ user: String, by teacher: String
    ) throws -> [(item: String, score: Double)] {
        let reply = try ask("REC.GET", user, "COUNT", "10", "MODE", teacher, "WITHSCORES")
        return (reply.elements ?? []).compactMap { row in
            guard let item = row.elements?.first?.text, let score = row.elements?.last?.number
            else { return nil }
            return (item, score)
        }
    }
}

extension DaemonTests {
    @Suite("serves teachers by name", .serialized)
    struct TeacherModes {
        /// As the daemon counts, when a teacher reads co-occurrence.
        private static let engine: EngineConfiguration = {
            var engine = SimulatedLog.engine
            engine.history.cooccurrenceReach = SimulatedLog.historyMax
            return engine
        }()

        private static func options(_ teachers: [String], interval: String = "1s") -> Daemon.Options
        {
            var options = Daemon.Options()
            options.extra =
                "teachers:\n  solve-interval: \(interval)\n  external-interval: 100ms\n"
                + "  enabled:\n" + teachers.map { "    - \"\($0)\"\n" }.joined()
            return options
        }

        /// The teacher, solved from whole histories without a daemon.
        private static func offline(_ text: String, _ fold: ReferenceFold) throws -> any Teacher {
            var histories = Histories()
            for (_, state) in fold.users.sorted(by: { $0.key < $1.key }) {
                histories.append(state, rules: engine.history)
            }
            var teacher = try TeacherRegistry.teacher(described: text)
            if !teacher.isLive {
                teacher = try teacher.solved(
                    from: TeacherMaterial(
                        statistics: fold.statistics, histories: histories, version: 1),
                    progress: { _ in true })
                teacher.bind(to: fold.statistics.items)
            }
            return teacher
        }

        /// Each item of the list has the score that the offline teacher gives it, and each place the score it has
        /// there: equal scores may change places. Otherwise what differs first.
        private static func difference(
            of list: [(item: String, score: Double)], from teacher: any Teacher,
            _ fold: ReferenceFold, user: String, items: Int
        ) throws -> String? {
            let state = fold.users[try #require(UserID(user))] ?? UserState()
            let logits = teacher.logits(
                of: TeacherUser(state, rules: engine.history), from: fold.statistics)
            var wanted: [String: Double] = [:]
            for number in 0..<items {
                let id = try #require(ItemID("item-\(number)"))
                guard !state.history.contains(where: { $0.item == id.key }),
                    let place = fold.statistics.items.number(of: id.key)
                else { continue }
                wanted[id.text] = logits[Int(place)]
            }
            let best = wanted.values.sorted(by: >).prefix(10)
            let name = "\(teacher.name) for \(user)"
            guard list.count == best.count else { return "\(name): \(list.count) items" }
            for (found, score) in zip(list, best) {
                let bound = 1e-3 * (1 + abs(score))
                let own = wanted[found.item] ?? .infinity
                guard abs(found.score - score) < bound, abs(found.score - own) < bound else {
                    return
                        "\(name): \(found.item) has \(found.score), the place \(score), it \(own)"
                }
            }
            return nil
        }

        @Test(
            "lists by each teacher are those of the offline teacher on the same histories, also after a restart"
        )
        func equalOffline() async throws {
            let named = ["item-knn:shrink=3", "ease:lambda=20,decay=0.6", "als:factors=8,sweeps=3"]
            let broker = try await Broker()
            let redis = try await RedisServer(appendOnly: true)
            let daemon = try Daemon(
                broker: broker.servers, redis: redis.socketPath, Self.options(named))
            defer { withExtendedLifetime((broker, redis)) {} }
            var log = SimulatedLog(seed: 11, users: 60, items: 50)
            log.extend(by: 1_500, odd: true)
            try await broker.produceItems(SimulatedLog.itemRecords(50))
            try await broker.produce(log.wire)
            try await daemon.start()
            let fold = ReferenceFold(logs: log.logs(), configuration: Self.engine)
            let expected = Reference(fold).digests
            try #require(await settle([daemon], on: expected) == expected, "\(daemon.lastWords)")
            let listed = await holds { try daemon.info("items") == "50" }
            try #require(listed)
            let settledAt = Int(Date().timeIntervalSince1970 * 1_000)
            _ = try daemon.ask("EVENT.ADD", "one-more", "item-1", "view")
            var whole = log
            whole.addView(of: "one-more", item: "item-1")
            let all = ReferenceFold(logs: whole.logs(), configuration: Self.engine)
            let teachers = try named.map { try Self.offline($0, all) }
            func difference() throws -> String? {
                for teacher in teachers {
                    for user in (0..<12).map({ "user-\($0)" }) + ["one-more"] {
                        let found = try Self.difference(
                            of: try daemon.list(user, by: teacher.name), from: teacher, all,
                            user: user, items: 50)
                        if let found { return found }
                    }
                    #expect(try daemon.list("nobody-knows", by: teacher.name).isEmpty)
                }
                return nil
            }
            // Models of statistics that hold everything, the one event too: a solve that began just before it is
            // followed by another.
            let solved = await holds(within: .seconds(60)) {
                try daemon.model("ease", "version") > settledAt
                    && daemon.model("als", "version") > settledAt && difference() == nil
            }
            try #require(solved, "\((try? difference()) ?? "") \(daemon.lastWords)")
            #expect(try !daemon.list("user-1", by: "rules").isEmpty)
            // Of all that was popular years before the one event of today, little is left.
            #expect(try daemon.list("nobody-knows", by: "popularity").first?.item == "item-1")
            let seen = try daemon.ask("REC.GET", "user-1", "MODE", "ease", "WITHSOURCES", "ASOF")
            #expect(seen.elements?.first?["rung"]?.text == "ease")
            #expect(throws: TestKitError.self) { try daemon.list("user-1", by: "external") }
            for (place, row) in try daemon.list("user-1", by: "ease").enumerated() {
                let why = try daemon.ask("REC.EXPLAIN", "user-1", row.item, "MODE", "ease")
                #expect(why["rank"]?.number == Double(place + 1))
                #expect(why["sources"]?["ease"]?.number == row.score)
            }

            // After a restart the stored models serve; there is nothing new to solve.
            let version = try daemon.model("als", "version")
            #expect(await daemon.terminate() == 0)
            try await daemon.start()
            let back = await holds { try daemon.model("als", "version") >= version }
            #expect(back, "\(daemon.lastWords)")
            let backToo = await holds { try daemon.model("ease", "version") > settledAt }
            #expect(backToo)
            #expect(try difference() == nil)
        }

        /// Of the thread of this name, as the kernel tells it.
        private static func niceness(of thread: String, in daemon: Daemon) throws -> Int? {
            let tasks = "/proc/\(daemon.process?.pid ?? 0)/task"
            for task in try FileManager.default.contentsOfDirectory(atPath: tasks) {
                let text = try String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8)
                guard text.contains("(\(thread))"), let name = text.lastIndex(of: ")") else {
                    continue
                }
                // The 19th field; the name is the second.
                let fields = text[name...].split(separator: " ")
                return fields.count > 17 ? Int(fields[17]) : nil
            }
            return nil
        }

        @Test(
            "events are folded and lists made while a model is solved, which is cancelled at the end"
        )
        func besideServing() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(
                broker: broker.servers, redis: redis.socketPath,
                Self.options(["als:factors=512,sweeps=1000", "ease"]))
            defer { withExtendedLifetime((broker, redis)) {} }
            var log = SimulatedLog(seed: 12, users: 300, items: 200)
            log.extend(by: 3_000, odd: false)
            try await broker.produceItems(SimulatedLog.itemRecords(200))
            try await broker.produce(log.wire)
            try await daemon.start()
            let solving = await holds(within: .seconds(60)) {
                try daemon.isSolving("als") && daemon.info("events_applied") == "3000"
            }
            try #require(solving, "\(daemon.lastWords)")
            let connection = try daemon.connect()
            // Models are of statistics, so what comes now must not wait for them.
            let marker = log.records.count
            log.extend(by: 2_000, odd: false)
            let clock = ContinuousClock()
            let start = clock.now
            try await broker.produce(log.wire[marker...])
            let applied = await holds(within: .seconds(20)) {
                try connection.ask("INFO", "stream").text?.contains("events_applied:5000") == true
            }
            #expect(applied)
            let took = clock.now - start
            var slowest = Duration.zero
            for number in 0..<200 {
                let asked = clock.now
                _ = try connection.ask("REC.GET", "user-\(number)", "MODE", "cf")
                slowest = max(slowest, clock.now - asked)
            }
            #expect(try Self.niceness(of: "models", in: daemon) == 10)
            #expect(try Self.niceness(of: "engine", in: daemon) == 0)
            #expect(try daemon.isSolving("als"), "the solve ended too early to show anything")
            #expect(slowest < .seconds(1), "2000 events took \(took), the slowest list \(slowest)")
            let expected = Reference(ReferenceFold(logs: log.logs(), configuration: Self.engine))
            #expect(await settle([daemon], on: expected.digests) == expected.digests)
            let stopping = clock.now
            #expect(await daemon.terminate() == 0, "\(daemon.lastWords)")
            #expect(clock.now - stopping < .seconds(15))
        }

        @Test(
            "external scores published by the Python example are served, and a newer version replaces them",
            .enabled(
                if: pythonWithRedis != nil,
                "no python3 with the redis module (MILLRACE_TEST_PYTHON)"))
        func external() async throws {
            let broker = try await Broker()
            let redis = try await RedisServer()
            let daemon = try Daemon(
                broker: broker.servers, redis: redis.socketPath, Self.options(["external"]))
            defer { withExtendedLifetime((broker, redis)) {} }
            try await broker.produceItems(SimulatedLog.itemRecords(20))
            try await daemon.start()
            let listed = await holds { try daemon.info("items") == "20" }
            try #require(listed)
            do {
                _ = try daemon.list("ann", by: "external")
                Issue.record("nothing was published")
            } catch { #expect("\(error)".contains("TRYAGAIN"), "\(error)") }
            let examples = URL(filePath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "docs/examples").path
            func publish(version: Int, direction: Int) async throws {
                let script = """
                    import sys
                    sys.path.insert(0, sys.argv[1])
                    import redis
                    from external_teacher import publish
                    client = redis.Redis(unix_socket_path=sys.argv[2])
                    publish(client, "millrace", \(version),
                            {f"item-{n}": [n % 7, n % 5, 1.0] for n in range(18)},
                            {"ann": [\(direction), 0.25, 0.5], "bob": [0.0, 1.0, 0.0]})
                    """
                _ = try await ChildProcess.run(
                    pythonWithRedis ?? "python3", ["-c", script, examples, redis.socketPath])
                let served = await holds { try daemon.model("external", "version") == version }
                #expect(served, "\(daemon.lastWords)")
            }
            for (version, direction) in [(3, 1.0), (4, -1.0)] {
                try await publish(version: version, direction: Int(direction))
                let list = try daemon.list("ann", by: "external")
                let scores = (0..<18).map { (number: Int) -> Double in
                    let (first, second) = (Double(number % 7), Double(number % 5))
                    return direction * first + 0.25 * second + 0.5
                }
                #expect(list.map(\.score) == Array(scores.sorted(by: >).prefix(10)))
                for row in list {
                    let number = Int(row.item.dropFirst("item-".count)) ?? 19
                    #expect(number < 18 && scores[number] == row.score)
                }
            }
            #expect(try daemon.list("carl", by: "external").isEmpty)
        }

        @Test(
            "a teacher that does not exist, or a parameter it does not have, is a fault of the settings"
        )
        func faultySettings() async throws {
            let directory = try TemporaryDirectory()
            for (text, words) in [
                ("eas", "there is no teacher 'eas'"), ("ease:lambd=3", "no parameter 'lambd'"),
                ("ease:lambda=-1", "lambda -1.0 is not in"), ("rules", "always enabled"),
            ] {
                let path = directory.file("m.yaml")
                try "teachers: {enabled: [\"\(text)\"]}\n".write(
                    toFile: path, atomically: true, encoding: .utf8)
                let process = try ChildProcess(millrace, ["check-config", path])
                #expect(await process.wait() == 78)
                #expect(process.errors.contains(words), "\(process.errors)")
            }
        }
    }
}
