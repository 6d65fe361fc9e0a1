// How fast commits go and how large users are, beside what Redis does for its own benchmark. Runs when MILLRACE_BENCH
// is set.

import Foundation
import Interactions
import Ports
import RedisState
import TestKit
import Testing

@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["MILLRACE_BENCH"] != nil))
struct ThroughputTests {
    @Test("commits per second", arguments: [500, 1_000, 2_000])
    func commits(usersPerBatch: Int) async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let total = 400_000
        let blob = (0..<150).map { UInt8($0) }
        let users = (0..<100_000).map { UserID("user-\($0)")! }
        var generator = SystemRandomNumberGenerator()
        var commits: [PartitionCommit] = []
        for sequence in 1...total / usersPerBatch {
            var commit = makeCommit(claim, sequence: Int64(sequence), writes: [])
            commit.writes = (0..<usersPerBatch).map { _ in
                UserWrite(user: users.randomElement(using: &generator)!, blob: blob)
            }
            commit.statisticsEdits = [UInt8](repeating: 1, count: usersPerBatch * 8)
            commits.append(commit)
        }
        let outcomes = Outcomes<CommitOutcome>()
        let (clock, usage) = (ContinuousClock(), processSeconds())
        let begin = clock.now
        for commit in commits { store.store.commit(commit, completion: outcomes.add) }
        #expect(await eventually(within: .seconds(120)) { outcomes.count == commits.count })
        let seconds = (clock.now - begin) / .seconds(1)
        let cpu = processSeconds() - usage
        report(
            "commit of \(usersPerBatch) users: \(Int(Double(total) / seconds)) users/s,"
                + " client CPU \(Int(cpu / Double(total) * 1e9)) ns/user")
    }

    @Test("redis-benchmark on the same machine")
    func peer() async throws {
        let server = try await RedisServer()
        let value = String(repeating: "x", count: 150)
        let arguments = ["-s", server.socketPath, "-c", "1", "-P", "500", "-n", "400000"]
        for command in [
            ["SET", "user-__rand_int__", value], ["HSET", "h", "user-__rand_int__", value],
        ] {
            let text = try await ChildProcess.run(
                "redis-benchmark", arguments + ["-r", "100000", "-q"] + command)
            let line = text.split(whereSeparator: { $0 == "\r" || $0 == "\n" })
                .last { $0.contains("requests per second") }
            report("redis-benchmark \(command[0]): \(line?.suffix(60) ?? "?")")
        }
    }

    @Test("bytes per user")
    func bytesPerUser() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        try await store.prepare(1)
        let claim = try await store.claim()
        for sequence in 1...50 {
            let writes = (0..<2_000).map { index in
                ("user-\(sequence * 2_000 + index)", Optional([UInt8](repeating: 1, count: 120)))
            }
            _ = try await store.commit(
                makeCommit(claim, sequence: Int64(sequence), writes: writes))
        }
        let exact = try await server.command(
            "MEMORY", "USAGE", "millrace:{p0}:users", "SAMPLES", "0")
        let sampled = try await store.usage().users
        report(
            "users hash: \(Double(exact)! / 100_000) bytes/user exact,"
                + " \(sampled.bytesPerEntry) sampled, \(sampled.entries) users")
        let clock = ContinuousClock()
        let begin = clock.now
        let count = try await store.allUsers().count
        report("scan of \(count) users: \((clock.now - begin) / .milliseconds(1)) ms")
    }

    @Test("memory stays flat over many loads and commits")
    func flatMemory() async throws {
        let server = try await RedisServer()
        let store = StoreUnderTest(server)
        let claim = try await store.claim()
        let names = (0..<50).map { "user-\($0)" }
        let writes = names.map { ($0, Optional([UInt8](repeating: 1, count: 2_000))) }
        var sizes: [Int] = []
        for sequence in 1...20_000 {
            _ = try await store.commit(
                makeCommit(claim, sequence: Int64(sequence), writes: writes))
            _ = try await store.load(names)
            if sequence.isMultiple(of: 5_000) { sizes.append(try residentPages()) }
        }
        report("resident pages after every 5000 rounds of 200 kB: \(sizes)")
        #expect(sizes[3] < sizes[0] + 500)
    }

    private func residentPages() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return try #require(Int(text.split(separator: " ")[1]))
    }

    private func processSeconds() -> Double {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    private func report(_ line: String) {
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }
}
