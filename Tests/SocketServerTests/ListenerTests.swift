// The socket file: mode, left-overs, foreign files, descriptors from systemd.

import Foundation
import Testing
import WireProtocol

@testable import SocketServer

@Suite("Listener")
struct ListenerTests {
    @Test("the file has the configured mode, and goes when the server stops")
    func mode() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/s"
        let listener = try Listener(.path(path, mode: 0o600, group: getegid()))
        defer { close(listener.descriptor) }
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        listener.removeFile()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("a left-over file is replaced, a living server's is not")
    func stale() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/s"
        close(try Listener(.path(path)).descriptor)
        #expect(FileManager.default.fileExists(atPath: path))
        let second = try Listener(.path(path))
        defer { close(second.descriptor) }
        let error = #expect(throws: SocketServerError.self) { try Listener(.path(path)) }
        #expect(error?.reason.contains("another process listens at \(path)") == true)
    }

    @Test("a file that somebody put in the socket's place is left alone")
    func replaced() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/s"
        let listener = try Listener(.path(path))
        defer { close(listener.descriptor) }
        try FileManager.default.removeItem(atPath: path)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: path))
        listener.removeFile()
        #expect(FileManager.default.fileExists(atPath: path))
        let error = #expect(throws: SocketServerError.self) { try Listener(.path(path)) }
        #expect(error?.reason.contains("is not a socket") == true)
    }

    @Test("a path too long for a socket is refused with its limit")
    func tooLong() {
        let path = "/" + String(repeating: "x", count: 200)
        let error = #expect(throws: SocketServerError.self) { try Listener(.path(path)) }
        #expect(error?.reason.contains("must have 1 to 107 bytes") == true)
    }

    @Test("a listening descriptor made elsewhere is served, and its file left to its owner")
    func adopted() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/s"
        let owner = try Listener(.path(path))
        let fixture = try ServerFixture { $0.address = .descriptor(owner.descriptor) }
        let client = try TestClient(path)
        #expect(try client.ask("PING") == .simple("PONG"))
        fixture.stop()
        #expect(FileManager.default.fileExists(atPath: path))
    }
}
