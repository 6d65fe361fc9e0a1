// MODEL.*: replies in both versions of the protocol, and who may ask.

import Ports
import Synchronization
import Testing
import WireProtocol

@testable import SocketServer

private final class FakeModels: ModelService {
    typealias Answer<Value> = @Sendable (Result<Value, PortError>) -> Void

    let calls = Mutex<[String]>([])

    func models(reply: @escaping Answer<ModelListing>) {
        reply(
            .success(
                ModelListing(
                    versions: [
                        .init(version: "base", serves: false, isPinned: false),
                        .init(version: "00ff", serves: true, isPinned: true),
                    ],
                    decisions: [
                        .init(
                            time: "2026-01-01T00:00:00Z", decision: "published", version: "00ff",
                            reason: "better")
                    ])))
    }

    private func called(_ text: String) { calls.withLock { $0.append(text) } }

    func refreshModel(reply: @escaping Answer<Void>) {
        called("refresh")
        reply(.success(()))
    }

    func rollBackModel(to version: String?, reply: @escaping Answer<String>) {
        called("rollback \(version ?? "")")
        reply(.success(version ?? "base"))
    }

    func pinModel(_ version: String, reply: @escaping Answer<String>) {
        called("pin \(version)")
        reply(
            version == "00ff"
                ? .success(version) : .failure(PortError(.refused, "no version \(version)")))
    }

    func unpinModel(reply: @escaping Answer<Void>) {
        called("unpin")
        reply(.success(()))
    }

    var modelInfo: [InfoSection] {
        [InfoSection(title: "Refresh", lines: [InfoLine("refresh_state", "idle")])]
    }
}

@Suite("Commands of the model")
struct ModelCommandTests {
    @Test("are answered in RESP2 and RESP3, and INFO has their section")
    func replies() throws {
        let models = FakeModels()
        let fixture = try ServerFixture { $0.models = models }
        let client = try fixture.client()
        let flat = try client.ask("MODEL.LIST")
        #expect(flat["versions"]?.elements?[1]["serves"] == .integer(1))
        _ = try client.ask("HELLO", "3")
        let map = try client.ask("MODEL.LIST")
        guard case .map = map else { throw TestFailure("no map: \(map)") }
        #expect(map["versions"]?.elements?[1]["serves"] == .boolean(true))
        #expect(map["versions"]?.elements?[0]["pinned"] == .boolean(false))
        #expect(map["decisions"]?.elements?[0]["reason"]?.text == "better")
        #expect(try client.ask("MODEL.REFRESH") == .simple("OK"))
        #expect(try client.ask("MODEL.ROLLBACK").text == "base")
        #expect(try client.ask("model.rollback", "00ff").text == "00ff")
        #expect(try client.ask("MODEL.PIN", "00ff").text == "00ff")
        #expect(try client.ask("MODEL.PIN", "x") == .error("ERR no version x"))
        #expect(try client.ask("MODEL.UNPIN") == .simple("OK"))
        let long = String(repeating: "x", count: 65)
        #expect(try client.ask("MODEL.PIN", long).text?.contains("1 to 64 are accepted") == true)
        #expect(try client.ask("MODEL.ROLLBACK", "a", "b") == .error("ERR syntax error"))
        #expect(try client.ask("INFO", "refresh").text?.contains("refresh_state:idle") == true)
        #expect(try client.ask("COMMAND", "DOCS", "model.pin")["model.pin"] != nil)
        #expect(
            models.calls.withLock { $0 }
                == ["refresh", "rollback ", "rollback 00ff", "pin 00ff", "pin x", "unpin"])
    }

    @Test("without a model there is nothing to decide")
    func absent() throws {
        let fixture = try ServerFixture()
        let client = try fixture.client()
        #expect(try client.ask("MODEL.LIST").text?.hasPrefix("ERR there is no model") == true)
    }

    @Test("reading may list, only admin may decide")
    func rights() {
        for command in Command.all where command.name.hasPrefix("model.") {
            #expect(command.right == (command.name == "model.list" ? .read : .admin))
        }
    }
}
