// The durable state in Redis: what the pipeline asks becomes steps on one of two lanes.
//
// Writes (claims, commits, items, checkpoints) and reads have a connection and a lane each, so that a slow commit
// never holds a read. A read that must see a commit is issued after the commit's completion.

import Interactions
import Lanes
public import Ports
import Synchronization

/// A `StateStore` over one Redis server, version 7 or newer. Must be stopped, or released, to end its threads.
public final class RedisStateStore: StateStore {
    let settings: RedisSettings
    let keys: KeyNames
    let layout = Mutex<Layout?>(nil)
    /// What we know to be stored of each item partition, to notice when Redis lost it.
    let itemOffsets = Mutex<[PartitionIndex: Int64]>([:])

    private let writes = Mailbox()
    private let reads = Mailbox()
    private let writeLane = Lane(name: "redis-writes")
    private let readLane = Lane(name: "redis-reads")
    private let board = HealthBoard()
    private let counters = StoreCounters()
    private let stopped = Atomic<Bool>(false)

    /// Starts connecting at once.
    public init(_ settings: RedisSettings) {
        self.settings = settings
        keys = KeyNames(prefix: settings.prefix)
        start(.writes, writes, writeLane)
        start(.reads, reads, readLane)
    }

    deinit { stop(withinMilliseconds: 0, done: {}) }

    public func observeHealth(_ observer: @escaping @Sendable (StoreHealth) -> Void) {
        board.observe(observer)
    }

    /// As last told to the observer.
    public var health: StoreHealth { board.health }
    /// Writes issued and not yet settled; whoever issues them bounds it.
    public var writeDepth: Int { writes.depth }
    public var readDepth: Int { reads.depth }
    /// Connections made so far, and pauses made before trying again.
    public var connectionCount: Int { counters.connects.load(ordering: .relaxed) }
    public var retryCount: Int { counters.retries.load(ordering: .relaxed) }

    /// Calls after the first do nothing.
    public func stop(withinMilliseconds: Int, done: @escaping @Sendable () -> Void) {
        guard !stopped.exchange(true, ordering: .relaxed) else { return }
        writes.close(deadline: monotonicSeconds() + Double(withinMilliseconds) / 1_000)
        // Queued behind the workers' loops, so each runs when its loop has ended.
        writeLane.run { [reads, readLane, writeLane] in
            reads.close(deadline: monotonicSeconds())
            readLane.run {
                done()
                readLane.finish()
            }
            writeLane.finish()
        }
    }

    func write(_ step: Step) { put(step, into: writes) }
    func read(_ step: Step) { put(step, into: reads) }

    private func put(_ step: Step, into mailbox: Mailbox) {
        if !mailbox.put(step) { step.fail(PortError(.unavailable, "the state store is stopped")) }
    }

    private func start(_ kind: Worker.Kind, _ mailbox: Mailbox, _ lane: Lane) {
        lane.run { [settings, board, counters] in
            var worker = Worker(
                kind, settings: settings, mailbox: mailbox, board: board, counters: counters)
            worker.run()
        }
    }
}

/// What the keys were made for; never changes for the life of a prefix.
struct Layout: Sendable, Hashable {
    /// Raised when the meaning of any key changes.
    static let format: Int64 = 1

    var format = Self.format
    var partitions: Int64
    var partitioner: String
    /// Set while users are being moved to so many.
    var movingTo: Int64?

    func encode(_ keys: KeyNames, into buffer: inout CommandBuffer) {
        buffer.command(
            "FCALL", FunctionLibrary.layout, "1", keys.layout, String(format), String(partitions),
            partitioner)
    }

    /// Throws unless the stored layout is ours.
    func check(_ reply: Reply, prefix: String) throws(PortError) {
        guard let found = try Layout(stored: reply), found != self else { return }
        let way =
            "or give this topic a key prefix of its own (redis.prefix), which is built anew from the log"
        if found.format != format {
            throw PortError(
                .refused,
                "the state under the key prefix \(prefix) has format \(found.format), this Millrace"
                    + " reads format \(format): run the version that wrote it, \(way)")
        }
        if let target = found.movingTo {
            throw PortError(
                .refused,
                "the users under the key prefix \(prefix) are being moved from \(found.partitions) to \(target)"
                    + " partitions: run `millrace repartition` until it ends")
        }
        if found.partitions < partitions {
            throw PortError(
                .refused,
                "the state under the key prefix \(prefix) is laid out for \(found.partitions)"
                    + " partitions, but the interactions topic has \(partitions): most users have another home"
                    + " now. Stop all instances and run `millrace repartition`, \(way)")
        }
        if found.partitions != partitions {
            throw PortError(
                .refused,
                "the state under the key prefix \(prefix) is laid out for \(found.partitions)"
                    + " partitions, but the interactions topic has \(partitions): users would move between"
                    + " partitions. Go back to \(found.partitions) partitions, \(way)")
        }
        throw PortError(
            .refused,
            "the state under the key prefix \(prefix) was made with the partitioner"
                + " \(found.partitioner), but \(partitioner) is configured: configure"
                + " \(found.partitioner), \(way)")
    }
}
