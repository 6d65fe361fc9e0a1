// `millrace serve`: the daemon in the foreground, as systemd wants it.

import ArgumentParser
import Glibc
import Settings

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon.",
        discussion: """
            Reads events and items from Kafka, keeps state in Redis, and answers Redis clients on a Unix
            socket. SIGTERM finishes what is under way and stops; SIGHUP reads the settings again.
            Exits 78 when the settings are faulty, 1 when a part fails, 0 after SIGTERM.
            """)

    @Option(name: .shortAndLong, help: "The settings file.", completion: .file())
    var config: String?

    func run() throws {
        var signals = Signals()
        let settings = try CheckConfigCommand.settings(config)
        let daemon = Daemon(settings: settings, clock: SystemClock())
        let code = daemon.run(&signals, configurationFile: config)
        throw ExitCode(code)
    }
}
