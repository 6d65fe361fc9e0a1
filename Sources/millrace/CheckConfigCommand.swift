// `millrace check-config`: says everything that is wrong with a settings file before the daemon is (re)started with
// it.

import ArgumentParser
import Foundation
import Settings

struct CheckConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Check a settings file and tell every fault with its place.",
        discussion: """
            Exits 0 when the daemon would start with the file, 78 when not. Without FILE the file is
            checked that the daemon would read: the one MILLRACE_CONFIG names, else
            \(SettingsFile.defaultPath), else the defaults.
            """)

    @Argument(help: "The settings file.", completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @Flag(help: "Print the annotated file of all keys with their defaults, and check nothing.")
    var defaults = false

    @Flag(help: "Print the outcome as JSON.")
    var json = false

    @Flag(
        help: """
            Do not check that secrets, prompts and model folders can be read: for checking a file on another \
            machine.
            """)
    var skipSecrets = false

    /// EX_CONFIG of sysexits.h; systemd does not restart after it (RestartPreventExitStatus=).
    static let configurationFault: Int32 = 78

    /// The settings of a file, or of the place where they are looked for; every problem on stderr and the exit code
    /// otherwise.
    static func settings(
        _ file: String?, checkingSecrets: Bool = true
    ) throws -> MillraceSettings {
        do {
            return try MillraceSettings.loadChecked(
                argument: file, checkingSecrets: checkingSecrets)
        } catch {
            writeError(error.problems.map { "\($0)\n" }.joined())
            throw ExitCode(configurationFault)
        }
    }

    private struct Outcome: Encodable {
        var file: String?
        var valid: Bool
        var problems: [SettingsProblem]
    }

    func run() throws {
        if defaults {
            print(SettingsFile.defaults, terminator: "")
            return
        }
        var problems: [SettingsProblem] = []
        do {
            let settings = try MillraceSettings.loadChecked(
                argument: file, checkingSecrets: !skipSecrets)
            if !skipSecrets { problems = Self.problemsOfFolders(settings, argument: file) }
        } catch {
            problems = error.problems
        }
        let path = SettingsFile.path(argument: file)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            let outcome = Outcome(file: path, valid: problems.isEmpty, problems: problems)
            print(String(decoding: try encoder.encode(outcome), as: UTF8.self))
        } else if problems.isEmpty {
            print("\(path ?? "the embedded defaults"): valid")
        } else {
            let text = problems.map { "\($0)\n" }.joined()
            FileHandle.standardError.write(Data(text.utf8))
        }
        guard problems.isEmpty else { throw ExitCode(Self.configurationFault) }
    }

    /// What the daemon would refuse at start although the file itself is right.
    private static func problemsOfFolders(
        _ settings: MillraceSettings, argument: String?
    ) -> [SettingsProblem] {
        let assembly = Assembly(settings: settings, clock: SystemClock())
        let checks: [(key: String, check: () throws -> Void)] = [
            ("model.folder", { try ModelLoader.check(settings.model) }),
            ("summaries", { _ = try assembly.summaries() }),
            ("ranking", { _ = try assembly.ranking() }),
        ]
        return checks.compactMap { key, check in
            do { try check() } catch {
                return SettingsProblem(
                    file: SettingsFile.path(argument: argument) ?? "", key: key, what: "\(error)")
            }
            return nil
        }
    }
}
