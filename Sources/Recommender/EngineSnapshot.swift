// Everything the engine has counted and learnt, as one value: a consistent copy that is encoded beside serving.

import Combiner
public import Interactions
public import Teachers

public struct EngineSnapshot: Sendable {
    public let statistics: Statistics
    let mixer: Mixer?
    let categories: [String]
}

/// What a checkpoint gave.
public enum RestoredMixture: Sendable, Hashable {
    /// Sources are not combined, or nothing was stored of it.
    case none
    case restored(weights: UInt64)
    /// It does not fit, for this reason: the combiner begins anew.
    case refused(String)
}

extension Engine {
    public var snapshot: EngineSnapshot {
        EngineSnapshot(
            statistics: statistics, mixer: mixer, categories: catalogue.categoryNames.names)
    }

    /// Replaces statistics and what the combiner learnt by those of a checkpoint.
    public func restore(
        chunks: [[UInt8]], fingerprint: UInt64
    ) throws(MalformedBytes) -> RestoredMixture {
        let (counted, learnt, hasRanker) = EngineSnapshot.parts(of: chunks)
        let statistics = try Statistics(
            checkpointChunks: Array(counted), halfLivesSeconds: configuration.halfLivesSeconds,
            pairCountMax: configuration.pairsMax, fingerprint: fingerprint)
        replace(statistics: statistics)
        guard mixer != nil, let learnt else { return .none }
        do throws(MalformedBytes) {
            try restore(learnt, hasRanker: hasRanker)
            return .restored(weights: mixer?.combiner.weights.version ?? 0)
        } catch {
            mixer?.forget()
            return .refused(error.reason)
        }
    }

    private func restore(_ learnt: [UInt8], hasRanker: Bool) throws(MalformedBytes) {
        guard let configuration = mixer?.configuration.combiner else { return }
        var reader = ByteReader(learnt)
        let trend = try CategoryTrend(from: &reader) { catalogue.categoryNumber(of: $0) }
        var ranker = RankerStage()
        if hasRanker {
            let count = try reader.count(max: reader.remaining)
            ranker = try RankerStage(decoding: reader.array(count: count))
        }
        let rest = try reader.array(count: reader.remaining)
        mixer?.combiner = try Combiner(configuration, decoding: rest)
        mixer?.trend = trend
        mixer?.ranker = ranker
    }
}

extension EngineSnapshot {
    private static let chunkBytesMax = 1 << 20
    /// "MRmixer2": what the last chunk begins with when chunks before it hold the combiner; with 1, no ranker's stage.
    private static let magic: UInt64 = 0x3272_6578_696D_524D
    private static let magicWithoutRanker: UInt64 = 0x3172_6578_696D_524D

    /// The stored form: chunks of the statistics, then those of the combiner and a last one that counts and checks
    /// them. Costs about 10 bytes a pair, and up to 15 MB for the lists that are learnt from.
    public func chunks(fingerprint: UInt64) -> [[UInt8]] {
        var chunks = statistics.checkpointChunks(fingerprint: fingerprint)
        guard let mixer else { return chunks }
        var out = ByteWriter()
        mixer.trend.append(to: &out, names: categories)
        let ranker = mixer.ranker.encoded()
        out.varint(UInt64(ranker.count))
        out.append(ranker)
        out.append(mixer.combiner.encoded())
        let bytes = out.bytes
        let parts = stride(from: 0, to: bytes.count, by: Self.chunkBytesMax).map {
            Array(bytes[$0..<min($0 + Self.chunkBytesMax, bytes.count)])
        }
        chunks += parts
        var end = ByteWriter()
        end.word64(Self.magic)
        end.word64(UInt64(parts.count))
        end.word64(xxh64(bytes))
        chunks.append(end.bytes)
        return chunks
    }

    /// Chunks of the statistics, and what the others hold of the combiner if there are any and they are whole.
    static func parts(
        of chunks: [[UInt8]]
    ) -> (counted: ArraySlice<[UInt8]>, learnt: [UInt8]?, hasRanker: Bool) {
        guard let last = chunks.last, last.count == 24 else { return (chunks[...], nil, false) }
        var reader = ByteReader(last)
        guard let magic = try? reader.word64(), [Self.magic, magicWithoutRanker].contains(magic),
            let count = try? reader.word64(), let sum = try? reader.word64(),
            count < UInt64(chunks.count)
        else { return (chunks[...], nil, false) }
        let begin = chunks.count - 1 - Int(count)
        let learnt = Array(chunks[begin..<(chunks.count - 1)].joined())
        return (chunks[..<begin], xxh64(learnt) == sum ? learnt : nil, magic == Self.magic)
    }
}
