// Durations, sizes, suggestions and secrets: the small parts of the settings.

import Foundation
import Testing

@testable import Settings

@Suite("units and words of the settings")
struct UnitsTests {
    @Test(
        "durations are read",
        arguments: [
            ("10s", 10_000_000), ("250ms", 250_000), ("2d", 172_800_000_000), ("0", 0), ("0s", 0),
            ("1h30m", 5_400_000_000), ("1us", 1), ("1d2h3m4s5ms6us", 93_784_005_006),
        ])
    func durations(text: String, microseconds: Int64) {
        #expect(Units.duration(text) == .microseconds(microseconds))
        #expect(
            Units.duration(Units.text(.microseconds(microseconds))) == .microseconds(microseconds))
    }

    @Test(
        "what is no duration is refused",
        arguments: [
            "", "10", "s", "1.5s", "-1s", "10 s", "1s1s", "1s2m", "1y", "99999999999d", "١s",
            "9223372036854775807d", "1h-1m", "+1s", "1sx",
        ])
    func noDurations(text: String) { #expect(Units.duration(text) == nil) }

    @Test("sizes are read", arguments: [("0", 0), ("1B", 1), ("64KiB", 65_536), ("1MiB", 1 << 20)])
    func sizes(text: String, bytes: Int) {
        #expect(Units.bytes(text) == bytes)
        #expect(Units.bytes(Units.text(bytes: bytes)) == bytes)
    }

    @Test(
        "what is no size is refused",
        arguments: ["", "1", "1KB", "1k", "1 MiB", "-1B", "1MiB1KiB", "9223372036854775807TiB"])
    func noSizes(text: String) { #expect(Units.bytes(text) == nil) }

    @Test("the nearest word is suggested when it is near")
    func suggestions() {
        let words = ["batch-records", "batch-window", "brokers", "password"]
        #expect(Suggestion.nearest(to: "batch_records", among: words) == "batch-records")
        #expect(Suggestion.nearest(to: "borkers", among: words) == "brokers")
        #expect(Suggestion.nearest(to: "password-file", among: words) == "password")
        #expect(Suggestion.nearest(to: "BROKERS", among: words) == "brokers")
        #expect(Suggestion.nearest(to: "zzz", among: words) == nil)
        #expect(Suggestion.nearest(to: "", among: words) == nil)
        #expect(Suggestion.nearest(to: String(repeating: "b", count: 1_000), among: words) == nil)
        #expect(Suggestion.distance(Array("ab".utf8), Array("ba".utf8)) == 1)
        #expect(Suggestion.distance([], Array("abc".utf8)) == 3)
    }

    @Test("a secret is read from its file or credential, without the last newline")
    func secrets() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("s3cret\n".utf8).write(to: folder.appending(path: "good"))
        try Data("\n".utf8).write(to: folder.appending(path: "empty"))
        try Data([0xFF]).write(to: folder.appending(path: "binary"))
        let file = SecretSource.file(folder.path + "/good")
        #expect(try file.read() == "s3cret")
        let credential = SecretSource.credential("good")
        #expect(try credential.read(credentialsDirectory: folder.path) == "s3cret")
        #expect(throws: SettingsFault.self) { try credential.read(credentialsDirectory: nil) }
        for name in ["empty", "binary", "absent"] {
            #expect(throws: SettingsFault.self) {
                try SecretSource.credential(name).read(credentialsDirectory: folder.path)
            }
        }
        #expect(throws: SettingsFault.self) { try SecretSource.file(folder.path).read() }
    }

    @Test("a missing secret is told at its place in the file")
    func missingSecret() throws {
        let text = "redis:\n  password: {file: /no/such/file}\n"
        do {
            _ = try SettingsFile.parse(Array(text.utf8), file: "s.yaml", checkingSecrets: true)
            Issue.record("accepted")
        } catch {
            let told = try #require(error.problems.first?.description)
            #expect(told.hasPrefix("s.yaml:2:13: redis.password: cannot read /no/such/file"))
        }
    }

    @Test("a file that is named but missing is a fault; so is a folder")
    func missingFile() {
        for path in ["/no/such/file.yaml", "/etc"] {
            #expect(throws: SettingsError.self) { try SettingsFile.load(argument: path) }
        }
    }
}
