// The settings file: what it accepts, what it refuses and in which words.

import Filters
import Testing

@testable import Settings

@Suite("the settings file")
struct SettingsTests {
    func parse(_ text: String) throws(SettingsError) -> MillraceSettings {
        try SettingsFile.parse(Array(text.utf8), file: "m.yaml")
    }

    func problems(_ text: String) -> [SettingsProblem] {
        do {
            _ = try parse(text)
            return []
        } catch {
            return error.problems
        }
    }

    @Test("an empty file, a comment and empty groups mean the defaults")
    func emptyFile() throws {
        for text in ["", "# nothing\n", "---\n", "kafka:\nredis:\n", "kafka:\n  topics:\n"] {
            #expect(try parse(text) == MillraceSettings())
        }
    }

    @Test("a key changes its value and nothing else")
    func oneKey() throws {
        var expected = MillraceSettings()
        expected.kafka.batchWindow = .microseconds(250_500)
        expected.redis.address = .unix(path: "/run/redis/redis.sock")
        expected.kafka.instanceID = "shop-1"
        expected.socket.mode = 0o600
        let text = """
            kafka:
              batch-window: 250ms500us
              instance-id: shop-1
            redis: {address: "unix:/run/redis/redis.sock"}
            socket: {mode: 0600}
            """
        #expect(try parse(text) == expected)
    }

    @Test("teachers are names with parameters; a shape that is none is refused")
    func teachers() throws {
        let text = "teachers: {enabled: [als, 'ease:lambda=300,decay=0.5'], solve-interval: 5m}"
        let settings = try parse(text)
        #expect(settings.teachers.enabled == ["als", "ease:lambda=300,decay=0.5"])
        #expect(settings.teachers.solveInterval == .seconds(300))
        let written = Array(SettingsFile.text(of: settings).utf8)
        #expect(try SettingsFile.parse(written, file: "m.yaml") == settings)
        for wrong in ["''", "'ease:'", "'ease:lambda'", "'ease:lambda=x'", "'a b'", "':a=1'"] {
            #expect(problems("teachers: {enabled: [\(wrong)]}").count == 1, "\(wrong)")
        }
    }

    @Test("scenarios are read, written and read again")
    func scenarios() throws {
        let text = """
            lists:
              scenarios:
                default: {diversity-lambda: 0.7}
                basket:
                  filter: price < 20 AND NOT brand = 'No "name"'
                  boosts:
                    - {when: "categories IN ('a', 'b')", by: 1.5}
                  brand-max: 2
                  category-max: 3
                  exploration: 0.05
                  count: 4
            feeds: {scenario: basket}
            """
        let settings = try parse(text)
        let basket = try #require(settings.lists.scenarios["basket"])
        #expect(basket.filters.map(\.text) == [#"price < 20 AND NOT brand = 'No "name"'"#])
        #expect(basket.boosts.map(\.by) == [1.5] && basket.count == 4 && basket.brandMax == 2)
        #expect(settings.lists.scenarios["default"]?.diversityLambda == 0.7)
        let written = Array(SettingsFile.text(of: settings).utf8)
        #expect(try SettingsFile.parse(written, file: "m.yaml") == settings)
    }

    @Test("an expression that is none is refused with its line and the character")
    func scenarioFaults() {
        let text = """
            lists:
              scenarios:
                a:
                  filter: "price < "
                  boosts: [{when: colour = 'red', by: 0}]
                b: {brand-max: 0, caps: 3}
            feeds: {scenario: c}
            """
        let found = problems(text)
        #expect(found.map(\.line) == [4, 5, 6])
        #expect(
            found.first?.description
                == #"m.yaml:4:15: lists.scenarios.a.filter: expected a value at 9: "price < ""#)
        #expect(found[1].what.hasPrefix("expected one of the fields"))
        #expect(problems("feeds: {scenario: c}").map(\.key) == ["feeds.scenario"])
    }

    @Test(
        "every fault is told at once, with place, bounds and suggestion, in the order of the file")
    func everyFault() {
        let text = """
            kafka:
              batch-recods: 10
              batch-records: 0
              partitioner: murmur3
              offset-gap: [halt]
            rediss:
              database: 1
            redis:
              user-ttl: 5 days
            """
        let told = problems(text).map(\.description)
        #expect(told.count == 6)
        let starts = [
            "m.yaml:2:3: kafka.batch-recods: no such key; did you mean \"batch-records\"?",
            "m.yaml:3:18: kafka.batch-records: \"0\" will not do; allowed: integer, 1 to 100000",
            "m.yaml:4:16: kafka.partitioner: \"murmur3\" will not do; allowed: one of, murmur2, "
                + "crc32; did you mean \"murmur2\"?",
            "m.yaml:5:15: kafka.offset-gap: is a list, not a single value",
            "m.yaml:6:1: rediss: no such key; did you mean \"redis\"?",
            "m.yaml:9:13: redis.user-ttl: \"5 days\" will not do; allowed: duration, 0s to 3650d",
        ]
        for (line, start) in zip(told, starts) { #expect(line.hasPrefix(start), "\(line)") }
    }

    @Test("a key in the wrong group is shown where it belongs")
    func wrongGroup() {
        #expect(problems("log-level: debug").first?.suggestion == "telemetry.log-level")
    }

    @Test(
        "faults of the file itself are told",
        arguments: [
            ("kafka: [", "is not YAML"), ("a: 1\na: 2", "more than once"), ("- a", "not a group"),
            ("kafka: 3", "not a group"), ("a: &x [*y]", "is not YAML"),
            ("kafka:\n\tgroup: a", "is not YAML"), ("a: 1\n---\nb: 2", "is not YAML"),
            ("kafka:\n  group:\n", "has no value"), ("kafka: {group: \"\\u0001\"}", "will not do"),
        ])
    func brokenFile(text: String, part: String) {
        let told = problems(text).map(\.description).joined()
        #expect(told.contains(part), "\(told)")
    }

    @Test("bytes that are no text, and too many of them, are refused")
    func brokenBytes() {
        #expect(throws: SettingsError.self) {
            try SettingsFile.parse([0xFF, 0xFE, 0x00], file: "x")
        }
        let long = [UInt8](repeating: UInt8(ascii: "#"), count: SettingsFile.bytesMax + 1)
        #expect(throws: SettingsError.self) { try SettingsFile.parse(long, file: "x") }
    }

    @Test("more faults than can be told are counted")
    func manyFaults() {
        let text = (0..<150).map { "unknown\($0): 1\n" }.joined()
        let told = problems(text)
        #expect(told.count == Findings.problemsMax + 1)
        #expect(told.last?.what == "and 50 more problems")
    }

    @Test(
        "secrets are refused inline and accepted as files and credentials",
        arguments: [
            ("redis: {password: hunter2}", false), ("redis: {password: {file: relative}}", false),
            ("redis: {password: {file: /a, credential: b}}", false),
            ("redis: {password: {credential: ../x}}", false), ("redis: {password: {}}", false),
            ("redis: {password: {fil: /x}}", false),
            ("kafka: {librdkafka: {sasl.password: hunter2}}", false),
            ("redis: {password: {file: /etc/secret}}", true),
            ("kafka: {librdkafka: {sasl.password: {credential: kafka-password}}}", true),
            ("redis: {password: null}", true),
        ])
    func secrets(text: String, isAccepted: Bool) {
        let told = problems(text)
        #expect(told.isEmpty == isAccepted, "\(told)")
        #expect(!told.contains { $0.description.contains("hunter2") }, "a secret is not repeated")
    }

    @Test("librdkafka properties pass through, except those that would break a promise")
    func passThrough() throws {
        let text = "kafka: {librdkafka: {fetch.wait.max.ms: 5, security.protocol: sasl_ssl}}"
        #expect(
            try parse(text).kafka.librdkafka == [
                "fetch.wait.max.ms": .text("5"), "security.protocol": .text("sasl_ssl"),
            ])
        for (property, way) in PassThrough.reserved {
            let told = problems("kafka: {librdkafka: {\(property): x}}")
            #expect(told.first?.what.hasSuffix(way) == true)
        }
        #expect(problems("kafka: {librdkafka: {Group Id: x}}").count == 1)
    }

    @Test(
        "keys that contradict each other are told",
        arguments: [
            "kafka: {batch-records: 100, prefetch-records: 10}",
            "kafka: {prefetch-bytes: 1MiB, payload-max: 2MiB}",
            "kafka: {topics: {items: interactions}}",
            "kafka: {fields: {interaction: {user: item}}}",
            "socket: {frame-max: 1KiB}", "operations: {path: /run/millrace/millrace.sock}",
            "popularity: {half-lives: [2d, 1d]}", "popularity: {half-lives: [2d, 2d]}",
            "events: {types: [{name: a}, {name: a}]}",
        ])
    func contradictions(text: String) {
        let told = problems(text)
        #expect(!told.isEmpty)
        #expect(told.allSatisfy { $0.line == 1 && $0.column > 1 }, "\(told)")
    }

    @Test("event types keep their order; weight and seen have defaults")
    func eventTypes() throws {
        let text = """
            events:
              types:
                - {name: buy, weight: 64, seen: 30d}
                - name: look
            """
        #expect(
            try parse(text).events.types == [
                .init(name: "buy", weight: 64, seen: .cooldown(.seconds(30 * 86_400))),
                .init(name: "look", weight: 1, seen: .always),
            ])
        #expect(problems("events: {types: [{weight: 1}]}").first?.what == "lacks name")
        #expect(problems("events: {types: [{name: a, seen: nevr}]}").first?.suggestion == "never")
        #expect(problems("events: {types: [{name: a, weigth: 1}]}").first?.suggestion == "weight")
        #expect(problems("events: {types: []}").count == 1)
        #expect(problems("events: {types: [{name: a, weight: 65}]}").count == 1)
    }

    @Test("access lists take names and numbers of users and groups")
    func access() throws {
        let text = "socket: {access: {read: any, write: [user:root, group:7, user:12], admin: []}}"
        let levels = try parse(text).socket.access
        #expect(levels.read == .anyone)
        #expect(levels.write == .init(anyone: false, uids: [0, 12], gids: [7]))
        #expect(levels.admin == .nobody)
        for bad in ["everyone", "[root]", "[user:no-such-user-here]", "[user:0, user:root]"] {
            #expect(problems("socket: {access: {read: \(bad)}}").count == 1, "\(bad)")
        }
    }

    @Test("the operations port is loopback or nothing")
    func loopback() throws {
        for good in ["127.0.0.1:9464", "\"[::1]:9464\"", "localhost:1"] {
            #expect(try parse("operations: {tcp: \(good)}").operations.tcp != nil)
        }
        for bad in ["0.0.0.0:9464", "10.0.0.1:9464", "127.0.0.1", "localhost:0", "127.evil.com:1"] {
            #expect(problems("operations: {tcp: \(bad)}").count == 1, "\(bad)")
        }
    }

    @Test("changes name the keys, their values and when they take effect")
    func changes() {
        let old = MillraceSettings()
        var new = old
        new.telemetry.logLevel = .debug
        new.kafka.group = "other"
        #expect(
            MillraceSettings.changes(from: old, to: new) == [
                SettingsChange(
                    key: "kafka.group", before: "millrace", after: "other", effect: .restart),
                SettingsChange(
                    key: "telemetry.log-level", before: "info", after: "debug", effect: .reload),
            ])
        #expect(MillraceSettings.changes(from: old, to: old).isEmpty)
    }
}
