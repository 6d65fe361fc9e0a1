// Helper processes, of the demo and of refreshes: started with their output in a file or a pipe, gone when the one that
// started them is gone, however it ends.

import ArgumentParser
import CShims
import Glibc

/// Runs another program that the kernel ends when this program's parent does: what Ctrl-C, `kill -9` and a crash have
/// in common.
struct WithParentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "with-parent",
        abstract: "Run a program that ends with the one that started it.",
        shouldDisplay: false)

    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run() throws {
        let words = Array(self.words.drop { $0 == "--" })
        guard !words.isEmpty else { throw ValidationError("which program?") }
        let parent = getppid()
        _ = shims_end_with_parent()
        // The parent may have gone between fork and prctl.
        guard getppid() == parent else { return }
        // Ctrl-C at the terminal is for the parent, which then stops us in order.
        setpgid(0, 0)
        var arguments = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        if let program = unsafe arguments[0] { unsafe execvp(program, arguments) }
        throw CommandFailure("cannot run \(words[0]): \(systemReason())")
    }
}

/// A running helper.
@safe
final class ChildProcess {
    let pid: pid_t
    /// The reading end of its standard output, when piped.
    let output: Int32
    /// The exit code, or 128 and the signal; nil while it runs.
    private(set) var status: Int32?
    private var isReaped: Bool { status != nil }

    /// The path of this very executable.
    static let ownPath = "/proc/self/exe"

    /// `log` receives standard error, and standard output unless it is piped.
    init(_ words: [String], log: String, pipesOutput: Bool = false) throws {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        var ends: [Int32] = [-1, -1]
        if pipesOutput {
            guard unsafe pipe(&ends) == 0 else { throw CommandFailure(systemReason()) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        } else {
            unsafe posix_spawn_file_actions_addopen(
                &actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        unsafe posix_spawn_file_actions_addopen(
            &actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // Our own blocked signals are not inherited.
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let all = [Self.ownPath, "with-parent", "--"] + words
        var arguments = unsafe all.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in 0..<(unsafe arguments.count) { unsafe free(arguments[index]) } }
        var made = pid_t()
        let code = unsafe posix_spawn(
            &made, Self.ownPath, &actions, &attributes, arguments, unsafe environ)
        if pipesOutput { close(ends[1]) }
        guard code == 0 else {
            let reason = unsafe String(cString: strerror(code))
            throw CommandFailure("cannot run \(words[0]): \(reason)")
        }
        pid = made
        output = ends[0]
    }

    /// Whether it still runs.
    var isRunning: Bool {
        guard !isReaped else { return false }
        var raw: Int32 = 0
        if unsafe waitpid(pid, &raw, WNOHANG) == pid { note(raw) }
        return !isReaped
    }

    /// One line of its piped output; nil at the end.
    func readLine() -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe read(output, &byte, 1) == 1 {
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// SIGTERM, then SIGKILL after the limit.
    func stop(withinMilliseconds limit: Int) {
        guard isRunning else { return }
        kill(pid, SIGTERM)
        for _ in 0..<(limit / 20) {
            if !isRunning { return }
            usleep(20_000)
        }
        kill(pid, SIGKILL)
        var raw: Int32 = 0
        unsafe waitpid(pid, &raw, 0)
        note(raw)
    }

    private func note(_ raw: Int32) {
        status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
    }
}
