// Checkpoints of the statistics: written in chunks beside the current one, made current by one atomic flip.
//
// A version being written expires by itself, so a crash in the middle leaves nothing for good. Each chunk is a step
// of its own: commits go in between.

import Interactions
public import Ports

extension RedisStateStore {
    /// How long an unfinished version is kept after its last chunk.
    private static let unfinishedMilliseconds = "3600000"
    /// Attempts to read a checkpoint that others keep replacing meanwhile.
    private static let loadAttemptsMax = 5
    private static let chunksPerRead = 8

    public func saveCheckpoint(
        _ checkpoint: StatisticsCheckpoint, completion: @escaping Completion<Void>
    ) {
        save(checkpoint, at: keys.checkpoint, completion: completion)
    }

    /// Writes the chunks beside the current ones, then makes them what `pointer` points to.
    func save(
        _ checkpoint: StatisticsCheckpoint, at pointer: String,
        completion: @escaping Completion<Void>
    ) {
        let version = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        saveChunk(0, of: checkpoint, at: pointer, version: version, completion: completion)
    }

    private func saveChunk(
        _ index: Int, of checkpoint: StatisticsCheckpoint, at pointer: String, version: String,
        completion: @escaping Completion<Void>
    ) {
        guard index < checkpoint.chunks.count else {
            return flip(pointer, to: version, of: checkpoint, completion: completion)
        }
        write(
            Step(
                patience: patience(of: pointer),
                encode: { buffer in
                    let key = KeyNames.chunks(of: pointer, version)
                    buffer.begin(4)
                    buffer.add("HSET")
                    buffer.add(key)
                    buffer.add(index)
                    buffer.add(checkpoint.chunks[index])
                    buffer.command("PEXPIRE", key, Self.unfinishedMilliseconds)
                },
                accept: { [self] _ throws(PortError) in
                    saveChunk(
                        index + 1, of: checkpoint, at: pointer, version: version,
                        completion: completion)
                },
                fail: { completion(.failure($0)) }))
    }

    /// A model must not keep commits waiting, not even in a Redis that is full.
    private func patience(of pointer: String) -> Step.Patience {
        pointer == keys.checkpoint ? .waits : .failsAtOnce
    }

    private func flip(
        _ pointer: String, to version: String, of checkpoint: StatisticsCheckpoint,
        completion: @escaping Completion<Void>
    ) {
        let sequences = checkpoint.sequences.sorted { $0.key < $1.key }
        write(
            Step(
                patience: patience(of: pointer),
                encode: { buffer in
                    buffer.begin(8 + 2 * sequences.count)
                    buffer.add("FCALL")
                    buffer.add(FunctionLibrary.flip)
                    buffer.add("2")
                    buffer.add(pointer)
                    buffer.add(KeyNames.chunks(of: pointer, version))
                    buffer.add(version)
                    buffer.add(checkpoint.chunks.count)
                    buffer.add(checkpoint.incarnation)
                    for (partition, sequence) in sequences {
                        buffer.add("p\(partition)")
                        buffer.add(sequence)
                    }
                },
                accept: { [self] replies throws(PortError) in
                    switch try replies[0].text("flip") {
                    case "CURRENT" where pointer == keys.checkpoint:
                        trim(sequences, completion: completion)
                    case "CURRENT": completion(.success(()))
                    case "OLDER": completion(.success(()))
                    case "STALE":
                        throw PortError(
                            .unavailable, "Redis was restarted since what was to be saved was read")
                    default:
                        throw PortError(
                            .unavailable, "chunks of the checkpoint were lost: save another one")
                    }
                },
                fail: { completion(.failure($0)) }))
    }

    private func trim(
        _ sequences: [(key: PartitionIndex, value: Int64)],
        completion: @escaping Completion<Void>
    ) {
        if sequences.isEmpty { return completion(.success(())) }
        write(
            Step(
                encode: { [keys] buffer in
                    for (partition, sequence) in sequences {
                        buffer.command(
                            "FCALL", FunctionLibrary.trim, "2", keys.meta(partition),
                            keys.deltas(partition), String(sequence))
                    }
                },
                accept: { _ throws(PortError) in completion(.success(())) },
                fail: { completion(.failure($0)) }))
    }

    public func loadCheckpoint(completion: @escaping Completion<StatisticsCheckpoint?>) {
        load(keys.checkpoint, completion: completion)
    }

    /// What `pointer` points to; nil when there is nothing, or when `isWanted` says no to its sequences.
    func load(
        _ pointer: String, attempt: Int = 1,
        where isWanted: @escaping @Sendable ([PartitionIndex: Int64]) -> Bool = { _ in true },
        completion: @escaping Completion<StatisticsCheckpoint?>
    ) {
        guard attempt <= Self.loadAttemptsMax else {
            return completion(
                .failure(
                    PortError(
                        .unavailable,
                        "the checkpoint was replaced \(attempt - 1) times while reading it")))
        }
        read(
            Step(
                encode: { $0.command("HGETALL", pointer) },
                accept: { [self] replies throws(PortError) in
                    let found = try CheckpointReading(replies[0], of: pointer, attempt: attempt)
                    guard let reading = found, isWanted(reading.checkpoint.sequences) else {
                        return completion(.success(nil))
                    }
                    loadChunks(reading, completion: completion)
                },
                fail: { completion(.failure($0)) }))
    }

    private func loadChunks(
        _ reading: CheckpointReading, completion: @escaping Completion<StatisticsCheckpoint?>
    ) {
        let range = reading.missing.prefix(Self.chunksPerRead)
        if range.isEmpty { return completion(.success(reading.checkpoint)) }
        read(
            Step(
                encode: { buffer in
                    let key = KeyNames.chunks(of: reading.pointer, reading.version)
                    for index in range { buffer.command("HGET", key, String(index)) }
                },
                accept: { [self] replies throws(PortError) in
                    var reading = reading
                    for reply in replies {
                        guard let chunk = try reply.bytesOrNil("checkpoint chunk") else {
                            return load(
                                reading.pointer, attempt: reading.attempt + 1,
                                completion: completion)
                        }
                        reading.checkpoint.chunks.append(chunk)
                    }
                    loadChunks(reading, completion: completion)
                },
                fail: { completion(.failure($0)) }))
    }
}

/// A checkpoint being read.
private struct CheckpointReading: Sendable {
    let pointer: String
    let version: String
    let chunkCount: Int
    let attempt: Int
    var checkpoint = StatisticsCheckpoint(sequences: [:], chunks: [])

    var missing: Range<Int> { min(checkpoint.chunks.count, chunkCount)..<chunkCount }

    /// Reads the pointer; nil when there is no checkpoint.
    init?(_ reply: Reply, of pointer: String, attempt: Int) throws(PortError) {
        let flat = try reply.elements("checkpoint pointer")
        if flat.isEmpty { return nil }
        var version: String?
        var chunkCount: Int64?
        for index in stride(from: 0, to: flat.count - 1, by: 2) {
            let field = try flat[index].text("checkpoint field")
            switch field {
            case "version": version = try flat[index + 1].text(field)
            case "chunks": chunkCount = try flat[index + 1].integer(field)
            default:
                guard field.hasPrefix("p"), let partition = PartitionIndex(field.dropFirst()) else {
                    throw PortError(
                        .corrupt, "unknown field \"\(field)\" in the checkpoint pointer")
                }
                checkpoint.sequences[partition] = try flat[index + 1].integer(field)
            }
        }
        guard let version, let chunkCount, let count = Int(exactly: chunkCount), count >= 0 else {
            throw PortError(.corrupt, "the checkpoint pointer lacks its version or chunk count")
        }
        self.pointer = pointer
        self.version = version
        self.chunkCount = count
        self.attempt = attempt
    }
}
