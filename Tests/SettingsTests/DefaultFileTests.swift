// The annotated file, the table of keys and the values say the same, and nothing in a file can trap.

import Foundation
import TestKit
import Testing

@testable import Settings

@Suite("the annotated settings file")
struct DefaultFileTests {
    static let file = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Config/millrace.yaml").standardizedFileURL

    @Test("Config/millrace.yaml is what `check-config --defaults` prints")
    func isRendered() throws {
        let text = try String(contentsOf: Self.file, encoding: .utf8)
        #expect(text == SettingsFile.defaults, "write it anew: millrace check-config --defaults")
    }

    @Test("it reads as the defaults and holds every key of the table")
    func isComplete() throws {
        let bytes = Array(SettingsFile.defaults.utf8)
        #expect(try SettingsFile.parse(bytes, file: "d") == MillraceSettings())
        for key in SettingKey.all {
            let name = try #require(key.path.split(separator: ".").last)
            #expect(SettingsFile.defaults.contains("\(name):"), "\(key.path)")
            #expect(!key.summary.isEmpty)
        }
        #expect(SettingKey.byPath.count == SettingKey.all.count)
        for section in SettingKey.sections.map(\.path) {
            #expect(SettingKey.all.contains { $0.path.hasPrefix(section + ".") }, "\(section)")
        }
    }

    @Test("every stored value of the settings has a key")
    func everyValueHasAKey() {
        // Counts leaves by reflection: a value added without a key makes the numbers differ.
        #expect(Self.leaves(MillraceSettings()) == SettingKey.all.count)
    }

    private static func leaves(_ value: Any) -> Int {
        let mirror = Mirror(reflecting: value)
        let isGroup =
            mirror.displayStyle == .struct
            && (String(describing: mirror.subjectType).hasSuffix("Settings")
                || ["Topics", "InteractionFields", "ItemFields", "Levels"]
                    .contains(String(describing: mirror.subjectType)))
        return isGroup ? mirror.children.reduce(0) { $0 + leaves($1.value) } : 1
    }

    @Test("the lines fit the page")
    func isReadable() {
        for line in SettingsFile.defaults.split(separator: "\n") {
            #expect(line.count <= 100 || !line.contains("#"), "\(line)")
        }
    }

    @Test("any settings come back from their own text")
    func roundTrip() throws {
        var settings = MillraceSettings()
        settings.kafka.brokers = ["a:1", "[::1]:9092"]
        settings.kafka.group = "a \"quoted\" \\ group: # né"
        settings.kafka.instanceID = "null"
        settings.kafka.librdkafka = [
            "sasl.password": .secret(.credential("k")), "client.rack": .text("r: {1}"),
            "ssl.ca.location": .text("/etc/ca.pem"),
        ]
        settings.redis.password = .file("/etc/pass word")
        settings.redis.address = .tcp(HostPort(host: "::1", port: 6_379))
        settings.redis.userTTL = .seconds(90_061)
        settings.events.types = [.init(name: "- odd", weight: -64, seen: .cooldown(.seconds(60)))]
        settings.socket.access.write = .init(anyone: false, uids: [3, 1], gids: [9])
        settings.socket.group = 33
        settings.operations.tcp = HostPort(host: "::1", port: 1)
        settings.rules.decay = 0.35
        settings.popularity.halfLives = [.seconds(3_600), .seconds(86_400)]
        let text = SettingsFile.text(of: settings)
        #expect(try SettingsFile.parse(Array(text.utf8), file: "t") == settings)
    }

    @Test("no prefix of the file traps, and each is accepted or refused")
    func everyPrefix() {
        let bytes = Array(SettingsFile.defaults.utf8)
        for end in stride(from: 0, through: bytes.count, by: 7) {
            _ = try? SettingsFile.parse(Array(bytes[..<end]), file: "p")
        }
    }

    @Test("random and mutated bytes never trap", arguments: [UInt64(1), 2, 3])
    func fuzz(seed: UInt64) {
        var random = SplitMix(state: seed)
        let defaults = Array(SettingsFile.defaults.utf8)
        let alphabet = Array("kafka: [{}]&*!|>'\"%@`#,-?\n\t 019.redis\\\u{0}\u{7F}é".utf8)
        for _ in 0..<300 {
            let noise = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            _ = try? SettingsFile.parse(noise, file: "f")
            let raw = (0..<64).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = try? SettingsFile.parse(raw, file: "f")
        }
        for _ in 0..<60 {
            var mutated = defaults
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<mutated.count, using: &random)
                mutated[place] = alphabet.randomElement(using: &random) ?? 0
            }
            _ = try? SettingsFile.parse(mutated, file: "f")
        }
    }

    @Test("deep nesting and aliases of aliases are refused, not followed")
    func deepAndWide() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: SettingsError.self) {
            try SettingsFile.parse(Array(deep.utf8), file: "deep")
        }
        var bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        for level in 1...12 {
            let inner = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ",")
            bomb += "a\(level): &a\(level) [\(inner)]\n"
        }
        #expect(throws: SettingsError.self) {
            try SettingsFile.parse(Array(bomb.utf8), file: "bomb")
        }
    }
}

/// Repeatable random numbers.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
