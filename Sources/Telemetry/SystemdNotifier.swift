// What systemd is told, and what it handed over: see sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
//
// Without systemd ($NOTIFY_SOCKET unset) every call does nothing, so the daemon needs no second way of starting.

import CSystemd
import Glibc

public struct SystemdNotifier: Sendable {
    public init() {}

    /// Start-up is done; `status` shows in `systemctl status`.
    public func ready(status: String) { send(["READY=1", "STATUS=\(Self.line(status))"]) }

    /// A reload has begun; `ready` ends it. The time is what Type=notify-reload compares.
    public func reloading() {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        let microseconds = UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1_000
        send(["RELOADING=1", "MONOTONIC_USEC=\(microseconds)"])
    }

    public func stopping(status: String) { send(["STOPPING=1", "STATUS=\(Self.line(status))"]) }

    public func status(_ text: String) { send(["STATUS=\(Self.line(text))"]) }

    /// Still alive. To be sent only when the engine has shown that it works.
    public func watchdog() { send(["WATCHDOG=1"]) }

    /// Gives a long start or stop this much more time.
    public func extendTimeout(seconds: Int) {
        send(["EXTEND_TIMEOUT_USEC=\(UInt64(max(0, seconds)) * 1_000_000)"])
    }

    /// How often systemd wants to hear `watchdog()` at the latest; send it twice as often. Nil: not at all.
    public var watchdogInterval: Duration? {
        var microseconds: UInt64 = 0
        guard unsafe sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
        return .microseconds(Int64(clamping: microseconds))
    }

    /// Listening sockets from socket units by their FileDescriptorName=. The caller owns the descriptors. The first
    /// call takes them: the environment that carried them is cleared.
    public func takeListeningDescriptors() -> [String: Int32] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = unsafe sd_listen_fds_with_names(1, &names)
        guard count > 0, let names = unsafe names else { return [:] }
        var descriptors: [String: Int32] = [:]
        for index in 0..<Int(count) {
            guard let name = unsafe names[index] else { continue }
            let descriptor = SD_LISTEN_FDS_START + Int32(index)
            let text = unsafe String(cString: name)
            unsafe free(name)
            // A second socket of the same name has no place of its own here.
            if descriptors[text] == nil {
                descriptors[text] = descriptor
            } else {
                close(descriptor)
            }
        }
        unsafe free(names)
        return descriptors
    }

    private func send(_ assignments: [String]) {
        _ = unsafe sd_notify(0, assignments.joined(separator: "\n"))
    }

    /// A newline would start another assignment.
    private static func line(_ text: String) -> String { LogText.oneLine(LogText.cut(text)) }
}
