// Partitions: claims, fenced commits, and reading users and deltas back.

public import Interactions
public import Ports
import Synchronization

extension RedisStateStore {
    /// Fields asked of one HSCAN; Redis may return somewhat more.
    private static let scanCount = 1_000

    public func prepare(interactionPartitions: Int32, completion: @escaping Completion<Void>) {
        let wanted = Layout(
            partitions: Int64(interactionPartitions), partitioner: settings.partitioner)
        write(
            Step(
                patience: .failsWhenRefused,
                encode: { [keys] in wanted.encode(keys, into: &$0) },
                accept: { [self] replies throws(PortError) in
                    try wanted.check(replies[0], prefix: settings.prefix)
                    layout.withLock { $0 = wanted }
                    completion(.success(()))
                },
                fail: { completion(.failure($0)) }))
    }

    public func claim(
        _ partition: PartitionIndex, completion: @escaping Completion<PartitionClaim>
    ) {
        // The layout goes along: after a FLUSHALL somebody has to write it again.
        let layout = layout.withLock { $0 }
        write(
            Step(
                encode: { [keys] buffer in
                    layout?.encode(keys, into: &buffer)
                    buffer.command("FCALL", FunctionLibrary.claim, "1", keys.meta(partition))
                },
                accept: { [settings] replies throws(PortError) in
                    if let layout { try layout.check(replies[0], prefix: settings.prefix) }
                    let claim = try PartitionClaim(partition, replies[replies.count - 1])
                    completion(.success(claim))
                },
                fail: { completion(.failure($0)) }))
    }

    public func commit(
        _ commit: PartitionCommit, completion: @escaping Completion<CommitOutcome>
    ) {
        write(
            Step(
                onlyIn: (
                    commit.incarnation, { completion(.success(.regressed(sequence: nil))) }
                ),
                encode: { [keys] in commit.encode(keys, into: &$0) },
                accept: { replies throws(PortError) in
                    completion(.success(try CommitOutcome(replies[0])))
                },
                fail: { completion(.failure($0)) }))
    }

    public func load(
        _ users: [UserID], of partition: PartitionIndex,
        completion: @escaping Completion<[[UInt8]?]>
    ) {
        read(
            Step(
                encode: { [keys] buffer in
                    if users.isEmpty { return buffer.command("PING") }
                    buffer.begin(2 + users.count)
                    buffer.add("HMGET")
                    buffer.add(keys.users(partition))
                    for user in users { buffer.add(user.text) }
                },
                accept: { replies throws(PortError) in
                    var blobs: [[UInt8]?] = []
                    blobs.reserveCapacity(users.count)
                    if !users.isEmpty {
                        for reply in try replies[0].elements("user blobs", count: users.count) {
                            blobs.append(try reply.bytesOrNil("user blob"))
                        }
                    }
                    completion(.success(blobs))
                },
                fail: { completion(.failure($0)) }))
    }

    public func scanUsers(
        of partition: PartitionIndex, cursor: UInt64, completion: @escaping Completion<UserPage>
    ) {
        read(
            Step(
                encode: { [keys] buffer in
                    buffer.command(
                        "HSCAN", keys.users(partition), String(cursor), "COUNT",
                        String(Self.scanCount))
                },
                accept: { replies throws(PortError) in
                    let page = try ScanPage(replies[0])
                    var users: [(user: UserID, blob: [UInt8])] = []
                    users.reserveCapacity(page.pairs.count)
                    for (field, value) in page.pairs {
                        let text = try field.text("user id")
                        guard let user = UserID(text) else {
                            throw PortError(
                                .corrupt, "a stored user id has \(text.utf8.count) bytes")
                        }
                        users.append((user, try value.bytes("user blob")))
                    }
                    completion(.success(UserPage(users: users, nextCursor: page.next)))
                },
                fail: { completion(.failure($0)) }))
    }

    public func readDeltas(
        after: [PartitionIndex: Int64], limit: Int, completion: @escaping Completion<DeltaRead>
    ) {
        let asked = after.sorted { $0.key < $1.key }
        let count = String(max(1, limit / max(1, asked.count)))
        read(
            Step(
                encode: { [keys] buffer in
                    if asked.isEmpty { return buffer.command("PING") }
                    for (partition, sequence) in asked {
                        // The stream first: a trim in between then shows as a gap that is none, never as a hole.
                        buffer.command(
                            "XRANGE", keys.deltas(partition), "(\(max(0, sequence))-0", "+",
                            "COUNT", count)
                        buffer.command("HMGET", keys.meta(partition), "sequence", "trimmed")
                    }
                },
                accept: { replies throws(PortError) in
                    var deltas: [StatisticsDelta] = []
                    var gaps: [PartitionIndex] = []
                    for (index, (partition, sequence)) in asked.enumerated() {
                        let marks = try replies[2 * index + 1].elements("marks", count: 2)
                        let stored = try marks[0].integerOrNil("sequence") ?? 0
                        let trimmed = try marks[1].integerOrNil("trimmed") ?? 0
                        // Behind what was read before: Redis lost writes.
                        if trimmed > sequence || stored < sequence { gaps.append(partition) }
                        for entry in try replies[2 * index].elements("deltas") {
                            deltas.append(try StatisticsDelta(partition, entry))
                        }
                    }
                    completion(.success(gaps.isEmpty ? .deltas(deltas) : .gap(gaps)))
                },
                fail: { completion(.failure($0)) }))
    }
}

extension PartitionClaim {
    fileprivate init(_ partition: PartitionIndex, _ reply: Reply) throws(PortError) {
        let fields = try reply.elements("claim", count: 6)
        var digest = StateDigest()
        if let text = try fields[3].textOrNil("digest") {
            guard let stored = StateDigest(text) else {
                throw PortError(.corrupt, "partition \(partition): stored digest \"\(text)\"")
            }
            digest = stored
        }
        self.init(
            partition: partition, epoch: try fields[0].integer("epoch"),
            sequence: try fields[1].integerOrNil("sequence") ?? 0,
            nextOffset: try fields[2].integerOrNil("offset"), digest: digest,
            userCount: try fields[4].integerOrNil("user count") ?? 0,
            userBytes: try fields[5].integerOrNil("user bytes") ?? 0)
    }
}

extension PartitionCommit {
    fileprivate func encode(_ keys: KeyNames, into buffer: inout CommandBuffer) {
        let deleted = writes.count { $0.blob == nil }
        let kept = writes.count - deleted
        buffer.begin(6 + 8 + 2 * kept + deleted)
        buffer.add("FCALL")
        buffer.add(FunctionLibrary.commit)
        buffer.add("3")
        buffer.add(keys.meta(partition))
        buffer.add(keys.users(partition))
        buffer.add(keys.deltas(partition))
        buffer.add(epoch)
        buffer.add(sequence)
        buffer.add(nextOffset.map { String($0) } ?? "")
        buffer.add(digest.description)
        buffer.add(userCount)
        buffer.add(userBytes)
        buffer.add(statisticsEdits)
        buffer.add(kept)
        for write in writes {
            guard let blob = write.blob else { continue }
            buffer.add(write.user.text)
            buffer.add(blob)
        }
        guard deleted > 0 else { return }
        for write in writes where write.blob == nil { buffer.add(write.user.text) }
    }
}

extension CommitOutcome {
    fileprivate init(_ reply: Reply) throws(PortError) {
        let parts = try reply.elements("commit outcome", count: 2)
        let number = try parts[1].integer("commit outcome")
        switch try parts[0].text("commit outcome") {
        case "COMMITTED": self = .committed
        case "FENCED": self = .fenced(epoch: number)
        case "REGRESSED": self = .regressed(sequence: number)
        case let other: throw PortError(.corrupt, "unknown commit outcome \"\(other)\"")
        }
    }
}

extension StatisticsDelta {
    fileprivate init(_ partition: PartitionIndex, _ entry: Reply) throws(PortError) {
        let parts = try entry.elements("delta", count: 2)
        let id = try parts[0].text("delta id")
        let fields = try parts[1].elements("delta fields", count: 2)
        guard let sequence = Int64(id.prefix { $0 != "-" }) else {
            throw PortError(.corrupt, "partition \(partition): delta id \"\(id)\"")
        }
        self.init(partition: partition, sequence: sequence, edits: try fields[1].bytes("edits"))
    }
}

/// One answer of HSCAN.
struct ScanPage {
    let next: UInt64?
    let pairs: [(field: Reply, value: Reply)]

    init(_ reply: Reply) throws(PortError) {
        let parts = try reply.elements("scan", count: 2)
        let cursorText = try parts[0].text("scan cursor")
        guard let cursor = UInt64(cursorText) else {
            throw PortError(.corrupt, "scan cursor \"\(cursorText)\"")
        }
        let flat = try parts[1].elements("scan page")
        guard flat.count.isMultiple(of: 2) else {
            throw PortError(.corrupt, "a scan page of \(flat.count) values, an odd number")
        }
        next = cursor == 0 ? nil : cursor
        pairs = stride(from: 0, to: flat.count, by: 2).map { (flat[$0], flat[$0 + 1]) }
    }
}
