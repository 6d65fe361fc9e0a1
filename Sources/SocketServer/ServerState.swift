// What all event loops share: counters, the list of clients, the slow log. Nothing here is touched more than once per
// request.

import Ports
import Synchronization

final class ServerState: Sendable {
    let configuration: SocketServerConfiguration
    let service: any RecommendationService
    let observer: any Observer
    let clock: any Clock
    let startedSeconds: Double
    let counters = Counters()
    let clients = Mutex<[UInt64: ClientRecord]>([:])
    let slowLog: SlowLog
    /// One per event loop, so that loops do not wait for each other.
    let tallies: [CommandTallies]

    init(
        configuration: SocketServerConfiguration, service: any RecommendationService,
        observer: any Observer, clock: any Clock
    ) {
        self.configuration = configuration
        self.service = service
        self.observer = observer
        self.clock = clock
        startedSeconds = clock.monotonicSeconds
        slowLog = SlowLog(entriesMax: configuration.limits.slowLogEntriesMax)
        tallies = (0..<max(1, configuration.eventLoopThreads)).map { _ in CommandTallies() }
    }

    /// Calls and latencies of every command, all loops together.
    var commandTotals: [CommandTally] {
        var totals = [CommandTally](repeating: CommandTally(), count: Command.all.count)
        for tally in tallies {
            tally.read { for index in totals.indices { totals[index].add($0[index]) } }
        }
        return totals
    }
}

/// Events too rare to cost anything.
final class Counters: Sendable {
    let clientIDs = Atomic<UInt64>(0)
    let connections = Atomic<Int>(0)
    let accepted = Atomic<Int>(0)
    let rejectedByLimit = Atomic<Int>(0)
    let closedByOutputLimit = Atomic<Int>(0)
    let protocolErrors = Atomic<Int>(0)
    let refusedByRight = Atomic<Int>(0)
    let errorReplies = Atomic<Int>(0)
    let timeouts = Atomic<Int>(0)
    let lateReplies = Atomic<Int>(0)
    let messagesSent = Atomic<Int>(0)
    let messagesCoalesced = Atomic<Int>(0)
    let hintsDropped = Atomic<Int>(0)
    let cacheHits = Atomic<Int>(0)
    let cacheMisses = Atomic<Int>(0)
}

extension Atomic where Value == Int {
    func increase(by amount: Int = 1) { wrappingAdd(amount, ordering: .relaxed) }
    var value: Int { load(ordering: .relaxed) }
}

/// What `CLIENT LIST` shows of a connection.
struct ClientRecord: Sendable {
    var id: UInt64
    var address: String
    var peer: Peer?
    var right: Right
    var connectedSeconds: Double
    var name = ""
    var libraryName = ""
    var libraryVersion = ""
    var version = 2
    var channels = 0
    var patterns = 0

    func line(now: Double) -> String {
        let uid = peer.map { String($0.user) } ?? "?"
        let pid = peer.map { String($0.process) } ?? "?"
        return "id=\(id) addr=\(address) laddr=\(address) name=\(name) "
            + "age=\(max(0, Int(now - connectedSeconds))) flags=U db=0 sub=\(channels) "
            + "psub=\(patterns) user=\(uid) pid=\(pid) rights=\(right.name) "
            + "resp=\(version) lib-name=\(libraryName) lib-ver=\(libraryVersion)"
    }
}

/// Calls of one command and how long they took, in powers of two of microseconds.
struct CommandTally: Sendable {
    static let bucketCount = 28
    var calls = 0
    var failed = 0
    var microseconds = 0
    /// `buckets[i]`: calls that took less than 2^i microseconds and not less than half of that.
    var buckets = InlineArray<28, Int>(repeating: 0)

    mutating func count(seconds: Double, failed: Bool) {
        calls += 1
        if failed { self.failed += 1 }
        let elapsed = max(0, Int(min(seconds, 1e6) * 1e6))
        microseconds += elapsed
        buckets[min(Self.bucketCount - 1, Int.bitWidth - elapsed.leadingZeroBitCount)] += 1
    }

    mutating func add(_ other: CommandTally) {
        calls += other.calls
        failed += other.failed
        microseconds += other.microseconds
        for index in 0..<Self.bucketCount { buckets[index] += other.buckets[index] }
    }
}

/// The tallies of one event loop; the lock is contended only while somebody asks for statistics.
final class CommandTallies: Sendable {
    private let tallies = Mutex(
        [CommandTally](repeating: CommandTally(), count: Command.all.count))

    func count(_ command: Int, seconds: Double, failed: Bool) {
        tallies.withLock { $0[command].count(seconds: seconds, failed: failed) }
    }

    func read(_ body: ([CommandTally]) -> Void) { tallies.withLock { body($0) } }
}

/// The latest slow requests, newest first.
final class SlowLog: Sendable {
    struct Entry: Sendable {
        var id: Int
        var wallSeconds: Int64
        var microseconds: Int
        /// At most `argumentsMax`, each cut to `argumentBytesMax`, as Redis does.
        var arguments: [String]
        var client: String
        var clientName: String

        static let argumentsMax = 32
        static let argumentBytesMax = 128
    }

    private struct Content {
        var entries: [Entry] = []
        var nextID = 0
    }

    private let content = Mutex(Content())
    private let entriesMax: Int

    init(entriesMax: Int) { self.entriesMax = entriesMax }

    func add(_ entry: Entry) {
        content.withLock { content in
            var entry = entry
            entry.id = content.nextID
            content.nextID += 1
            content.entries.insert(entry, at: 0)
            if content.entries.count > entriesMax { content.entries.removeLast() }
        }
    }

    var count: Int { content.withLock { $0.entries.count } }
    func newest(_ count: Int) -> [Entry] { content.withLock { Array($0.entries.prefix(count)) } }
    func reset() { content.withLock { $0.entries = [] } }
}
