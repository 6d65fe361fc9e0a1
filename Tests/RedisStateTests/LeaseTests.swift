// The right to refresh: one owner at a time, and a token that tells the newest owner from those before.

import Ports
import RedisState
import TestKit
import Testing

@Suite struct LeaseTests {
    private struct Instance {
        let store: StoreUnderTest

        func take(_ milliseconds: Int64 = 60_000) async throws -> Int64? {
            try await awaited {
                store.store.takeLease(owner: "o", milliseconds: milliseconds, completion: $0)
            }
        }

        func renew(_ token: Int64, _ milliseconds: Int64 = 60_000) async throws -> Bool {
            try await awaited {
                store.store.renewLease(token: token, milliseconds: milliseconds, completion: $0)
            }
        }
    }

    @Test("one of two holds it; given back, the other takes it with a higher token")
    func twoOwners() async throws {
        let server = try await RedisServer()
        let (one, two) = (
            Instance(store: StoreUnderTest(server)), Instance(store: StoreUnderTest(server))
        )
        let first = try #require(try await one.take())
        #expect(try await two.take() == nil)
        // Not even itself: whoever lost the answer waits until it has run out.
        #expect(try await one.take() == nil)
        #expect(try await one.renew(first))
        one.store.store.releaseLease(token: first)
        // On the same connection, behind the release.
        let again = try #require(try await one.take())
        #expect(again > first)
        two.store.store.releaseLease(token: first)
        #expect(try await two.take() == nil)
    }

    @Test("run out, it goes to whoever asks; the stale token is told so, and frees nothing")
    func stale() async throws {
        let server = try await RedisServer()
        let (one, two) = (
            Instance(store: StoreUnderTest(server)), Instance(store: StoreUnderTest(server))
        )
        let first = try #require(try await one.take(1))
        var second: Int64?
        let taken = await eventually {
            second = (try? await two.take()) ?? nil
            return second != nil
        }
        #expect(taken)
        let token = try #require(second)
        #expect(token > first)
        #expect(try await one.renew(first) == false)
        one.store.store.releaseLease(token: first)
        #expect(try await one.take() == nil)
        #expect(try await two.renew(token))
    }

    @Test("run out and taken by nobody, it is renewed: a slow owner loses nothing")
    func late() async throws {
        let server = try await RedisServer()
        let one = Instance(store: StoreUnderTest(server))
        let first = try #require(try await one.take(1))
        #expect(try await one.renew(first))
        #expect(try await one.take() == nil)
    }

    @Test("a token is higher than all before, also when Redis forgot those")
    func forgotten() async throws {
        let server = try await RedisServer()
        let one = Instance(store: StoreUnderTest(server))
        let first = try #require(try await one.take())
        try await server.command("FLUSHALL")
        let second = try #require(try await one.take())
        #expect(second >= first)
        try await server.command("HSET", "millrace:{lease}:refresh", "token", "many")
        await #expect(throws: PortError.self) { try await one.take() }
    }
}
