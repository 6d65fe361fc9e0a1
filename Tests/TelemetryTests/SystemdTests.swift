// What systemd hears, what it hands over, and whether it accepts the units.

import Foundation
import Glibc
import Testing

@testable import Telemetry

@Suite("systemd", .serialized)
struct SystemdTests {
    @Test("every notification arrives as systemd expects it")
    func notifications() throws {
        let path = NSTemporaryDirectory() + "n\(getpid()).sock"
        let socket = try NotifySocket(path: path)
        defer { socket.close() }
        unsafe setenv("NOTIFY_SOCKET", path, 1)
        defer { unsafe unsetenv("NOTIFY_SOCKET") }
        let notifier = SystemdNotifier()
        notifier.ready(status: "serving 4\npartitions")
        #expect(socket.receive() == "READY=1\nSTATUS=serving 4 partitions")
        notifier.reloading()
        let reloading = try #require(socket.receive())
        #expect(reloading.wholeMatch(of: /RELOADING=1\nMONOTONIC_USEC=[0-9]+/) != nil)
        notifier.stopping(status: "draining")
        #expect(socket.receive() == "STOPPING=1\nSTATUS=draining")
        notifier.status("x")
        #expect(socket.receive() == "STATUS=x")
        notifier.watchdog()
        #expect(socket.receive() == "WATCHDOG=1")
        notifier.extendTimeout(seconds: 3)
        #expect(socket.receive() == "EXTEND_TIMEOUT_USEC=3000000")
    }

    @Test("without systemd nothing happens")
    func withoutSystemd() {
        let notifier = SystemdNotifier()
        notifier.ready(status: "x")
        #expect(notifier.watchdogInterval == nil)
        #expect(notifier.takeListeningDescriptors().isEmpty)
    }

    @Test("the watchdog's interval is what the environment says, for this process only")
    func watchdog() {
        unsafe setenv("WATCHDOG_USEC", "30000000", 1)
        defer {
            unsafe unsetenv("WATCHDOG_USEC")
            unsafe unsetenv("WATCHDOG_PID")
        }
        unsafe setenv("WATCHDOG_PID", "\(getpid())", 1)
        #expect(SystemdNotifier().watchdogInterval == .seconds(30))
        unsafe setenv("WATCHDOG_PID", "1", 1)
        #expect(SystemdNotifier().watchdogInterval == nil)
    }

    @Test("descriptors handed over are found by name, once")
    func descriptors() {
        // Descriptor 3 exists in this process; it is only named here, not used.
        if fcntl(3, F_GETFD) < 0 { dup2(2, 3) }
        unsafe setenv("LISTEN_PID", "\(getpid())", 1)
        unsafe setenv("LISTEN_FDS", "1", 1)
        unsafe setenv("LISTEN_FDNAMES", "client", 1)
        #expect(SystemdNotifier().takeListeningDescriptors() == ["client": 3])
        #expect(SystemdNotifier().takeListeningDescriptors().isEmpty)
    }

    static let units = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../systemd").standardizedFileURL
    static let analyze = "/usr/bin/systemd-analyze"

    @Test("systemd-analyze accepts the units without a word, and their exposure is at most 1.2")
    func unitFiles() throws {
        guard FileManager.default.isExecutableFile(atPath: Self.analyze) else {
            print("skipped: systemd-analyze is not installed (Debian package systemd)")
            return
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var paths: [String] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.units.path) {
            let text = try String(contentsOf: Self.units.appending(path: name), encoding: .utf8)
            // The executable need not be installed where the tests run.
            let copy = text.replacing("/usr/bin/millrace", with: "/bin/true")
            try Data(copy.utf8).write(to: folder.appending(path: name))
            paths.append(folder.path + "/" + name)
        }
        #expect(paths.count == 3)
        let verified = try run(["verify"] + paths.sorted())
        #expect(verified.status == 0)
        #expect(verified.output == "")
        let service = folder.path + "/millrace.service"
        let security = try run(["security", "--offline=true", "--threshold=12", service])
        #expect(security.status == 0, "\(security.output)")
    }

    private func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: Self.analyze)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}

/// A datagram socket in the place of systemd's.
private struct NotifySocket {
    let descriptor: Int32
    let path: String

    init(path: String) throws {
        self.path = path
        unsafe unlink(path)
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        try #require(path.utf8.count < capacity)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, size)
            }
        }
        try #require(code == 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    func receive() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    func close() {
        _ = Glibc.close(descriptor)
        unsafe unlink(path)
    }
}
