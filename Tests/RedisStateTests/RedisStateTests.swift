import TestKit
import Testing

@Test("a private redis-server starts, answers, dies and comes back")
func serverLives() async throws {
    let server = try await RedisServer(appendOnly: true, tcp: true)
    #expect(try await server.command("SET", "a", "1") == "OK")
    try await server.restart()
    #expect(try await server.command("GET", "a") == "1")
}
