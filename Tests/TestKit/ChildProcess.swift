// Programs started by tests, none of which outlives its test: the object's end kills the child, and the kernel kills
// it
// (PR_SET_PDEATHSIG) when the test process itself dies.
//
// That signal is tied to the thread that spawned, so one thread that never ends does all the spawning. Output goes to
// files: nobody has to drain a pipe, and it can be read at any time.

import Foundation
public import Glibc
import Synchronization

public final class ChildProcess: Sendable {
    public let pid: pid_t
    private let directory: TemporaryDirectory
    private let input: Mutex<Int32?>
    /// The exit code, or 128 + signal; nil while it runs.
    private let ended = Mutex<Int32?>(nil)

    /// Starts `executable` (looked up in PATH) with the test's environment plus `environment`.
    public init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, keepsInputOpen: Bool = false
    ) throws {
        directory = try TemporaryDirectory()
        let place = workingDirectory.map { ["env", "-C", $0] } ?? []
        let command = ["setpriv", "--pdeathsig", "KILL", "--"] + place + [executable] + arguments
        let all = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let files = (directory.file("out"), directory.file("err"))
        var ends: [Int32] = [-1, -1]
        if keepsInputOpen, unsafe pipe(&ends) != 0 {
            throw TestKitError("pipe: errno \(errno)")
        }
        let read = ends[0]
        let result = Spawner.shared.run {
            spawn(command, all.map { "\($0)=\($1)" }, input: read, files: files)
        }
        if keepsInputOpen { close(read) }
        input = Mutex(keepsInputOpen ? ends[1] : nil)
        switch result {
        case .success(let child): pid = child
        case .failure(let error): throw error
        }
    }

    deinit {
        closeInput()
        if ended.withLock({ $0 }) == nil {
            Glibc.kill(pid, SIGKILL)
            _ = waitpid(pid, nil, 0)
        }
    }

    /// What it has written to standard output so far.
    public var output: String { text("out") }
    /// What it has written to standard error so far.
    public var errors: String { text("err") }

    public var isRunning: Bool { status == nil }

    /// The exit code, or 128 + the signal that ended it; nil while it runs.
    public var status: Int32? {
        ended.withLock { ended in
            if ended == nil {
                var raw: Int32 = 0
                if unsafe waitpid(pid, &raw, WNOHANG) == pid {
                    ended = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
                }
            }
            return ended
        }
    }

    /// Waits for its end; returns the status, or nil when it still runs after `limit`.
    public func wait(within limit: Duration = .seconds(20)) async -> Int32? {
        _ = await eventually(within: limit) { status != nil }
        return status
    }

    public func signal(_ number: Int32) {
        ended.withLock { if $0 == nil { Glibc.kill(pid, number) } }
    }

    /// kill -9, and waits until it is gone.
    public func kill() async {
        signal(SIGKILL)
        _ = await wait()
    }

    /// Writes to its standard input.
    public func write(_ text: String) throws {
        var bytes = Array(text.utf8)[...]
        let descriptor = input.withLock { $0 ?? -1 }
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw TestKitError("write to child \(pid): errno \(errno)") }
            bytes = bytes.dropFirst(count)
        }
    }

    public func closeInput() {
        if let descriptor = input.withLock({ $0.take() }) { close(descriptor) }
    }

    /// Runs a program to its end and returns its output; a failure carries what it said.
    public static func run(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        within limit: Duration = .seconds(60)
    ) async throws -> String {
        let child = try ChildProcess(executable, arguments, environment: environment)
        let status = await child.wait(within: limit)
        guard status == 0 else {
            let end = status.map { "status \($0)" } ?? "no end within \(limit)"
            throw TestKitError("\(executable) \(arguments): \(end)\n\(child.output)\(child.errors)")
        }
        return child.output
    }

    private func text(_ name: String) -> String {
        let data = FileManager.default.contents(atPath: directory.file(name)) ?? Data()
        return String(decoding: data, as: UTF8.self)
    }
}

private func spawn(
    _ command: [String], _ environment: [String], input: Int32, files: (String, String)
) -> Result<pid_t, TestKitError> {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    if input >= 0 {
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    let create = O_WRONLY | O_CREAT | O_APPEND
    unsafe posix_spawn_file_actions_addopen(&actions, 1, files.0, create, 0o600)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, files.1, create, 0o600)
    // A descriptor that a child inherits keeps its other end from seeing the close.
    let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    for descriptor in open.compactMap({ Int32($0) }) where descriptor > 2 {
        unsafe posix_spawn_file_actions_addclose(&actions, descriptor)
    }

    // Dispatch's threads block signals, and children inherit that: SIGTERM would be ignored.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    let arguments = unsafe command.map { unsafe strdup($0) } + [nil]
    let variables = unsafe environment.map { unsafe strdup($0) } + [nil]
    defer {
        // By index: the formatter of 6.3.1 glues `unsafe` to the name in `for unsafe name in`.
        for index in unsafe arguments.indices { unsafe free(arguments[index]) }
        for index in unsafe variables.indices { unsafe free(variables[index]) }
    }
    var pid: pid_t = 0
    let code = unsafe posix_spawnp(&pid, command[0], &actions, &attributes, arguments, variables)
    return code == 0 ? .success(pid) : .failure(TestKitError("spawn \(command): errno \(code)"))
}

/// The one thread that spawns; it lives as long as the process.
private final class Spawner: Sendable {
    static let shared = Spawner()
    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let wake = DispatchSemaphore(value: 0)

    init() {
        Thread.detachNewThread { [self] in
            while true {
                wake.wait()
                let job = jobs.withLock { $0.removeFirst() }
                job()
            }
        }
    }

    func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
        let done = DispatchSemaphore(value: 0)
        let box = ResultBox<Value>()
        jobs.withLock {
            $0.append {
                let value = body()
                box.value.withLock { $0 = value }
                done.signal()
            }
        }
        wake.signal()
        done.wait()
        guard let value = box.value.withLock({ $0 }) else { preconditionFailure("no result") }
        return value
    }
}

private final class ResultBox<Value: Sendable>: Sendable {
    let value = Mutex<Value?>(nil)
}
