// Scores that another system made: item and user vectors, or a list of the best items for each user.
//
// The other system writes records (docs/teachers.md has the contract and a program that follows it). Every record
// carries the version it belongs to, so vectors of two versions never meet, whatever the order in which they were
// written, read or lost. This file reads records; fetching them is the state store's part.
//
// Record: 'X', format 1, kind (1 vector, 2 list), version (8 bytes), then
//   vector: dimension (2 bytes), that many floats;
//   list:   count (2 bytes), then for each item: length of the id (2 bytes), id in UTF-8, score (float).
// Little-endian throughout, floats in single precision.

public import Interactions
import Tensors

/// One record as it was written.
public struct ExternalRecord: Sendable, Hashable {
    public static let format: UInt8 = 1
    public static let dimensionMax = 4_096
    public static let listCountMax = 1_000
    private static let magic: UInt8 = 0x58

    public enum Content: Sendable, Hashable {
        case vector([Float])
        case list([Scored])
    }

    public struct Scored: Sendable, Hashable {
        public var item: ItemKey
        public var score: Float
    }

    /// Of the model that made it; above 0.
    public var version: UInt64
    public var content: Content

    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.magic else {
            throw MalformedBytes("is not an external record: the first byte is wrong")
        }
        let format = try reader.byte()
        guard format == Self.format else {
            throw MalformedBytes("has format \(format), this version reads \(Self.format)")
        }
        let kind = try reader.byte()
        version = try reader.word64()
        guard version > 0 else { throw MalformedBytes("has version 0, which means none") }
        switch kind {
        case 1: content = .vector(try Self.vector(from: &reader))
        case 2: content = .list(try Self.list(from: &reader))
        default: throw MalformedBytes("has kind \(kind); 1 is a vector, 2 a list")
        }
        guard reader.remaining == 0 else {
            throw MalformedBytes("has \(reader.remaining) bytes too many")
        }
    }

    private static func vector(from reader: inout ByteReader) throws(MalformedBytes) -> [Float] {
        let dimension = try reader.word16()
        guard (1...dimensionMax).contains(dimension) else {
            throw MalformedBytes("has \(dimension) dimensions, not 1...\(dimensionMax)")
        }
        return try reader.floats(dimension)
    }

    private static func list(from reader: inout ByteReader) throws(MalformedBytes) -> [Scored] {
        let count = try reader.word16()
        guard count <= listCountMax else {
            throw MalformedBytes("lists \(count) items, more than \(listCountMax)")
        }
        var found: [Scored] = []
        var seen: Set<ItemKey> = []
        for _ in 0..<count {
            let length = try reader.word16()
            let text = String(validating: try reader.array(count: length), as: UTF8.self)
            guard let id = text.flatMap(ItemID.init) else {
                throw MalformedBytes("has an item id of \(length) bytes that is none")
            }
            let score = try reader.floats(1)[0]
            // The first of an item counts; a list is in order.
            if seen.insert(id.key).inserted { found.append(Scored(item: id.key, score: score)) }
        }
        return found
    }
}

extension ByteReader {
    fileprivate mutating func word16() throws(MalformedBytes) -> Int {
        Int(try byte()) | Int(try byte()) << 8
    }
}

/// Serves what another system has computed.
public struct ExternalTeacher: Teacher {
    public static let name = "external"
    public static let material = TeacherMaterialKind.external

    public private(set) var version: UInt64 = 0
    private var items = ModelItems()
    private var dimension = 0
    /// items * dimension, row by row; empty for lists.
    private var vectors: [Float] = []

    public init() {}

    /// Accepts lists of this version.
    public init(listVersion version: UInt64) { self.version = version }

    /// Item vectors of one version. Throws for the first record that does not fit: of another version or dimension, or
    /// no vector. An item that is named twice has its last vector.
    public init(
        version: UInt64, vectors records: some Sequence<(item: ItemID, record: [UInt8])>
    ) throws(MalformedBytes) {
        var found: [ItemKey: [Float]] = [:]
        for (item, bytes) in records {
            do {
                let vector = try Self.vector(bytes, version: version)
                if dimension == 0 { dimension = vector.count }
                guard vector.count == dimension else {
                    throw MalformedBytes("has \(vector.count) dimensions, others \(dimension)")
                }
                found[item.key] = vector
            } catch {
                throw MalformedBytes("the record of item \(item) \(error)")
            }
        }
        self.version = version
        items = ModelItems(found.keys)
        vectors = items.index.keys.flatMap { found[$0] ?? [] }
    }

    private static func vector(
        _ bytes: [UInt8], version: UInt64
    ) throws(MalformedBytes) -> [Float] {
        let record = try ExternalRecord(decoding: bytes)
        guard record.version == version else {
            throw MalformedBytes("is of version \(record.version), not \(version)")
        }
        guard case .vector(let vector) = record.content else {
            throw MalformedBytes("is a list, not a vector")
        }
        return vector
    }

    /// Proposes nothing for a user whose record is missing, damaged or of another version.
    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        guard version > 0, !user.external.isEmpty,
            let record = try? ExternalRecord(decoding: user.external), record.version == version
        else { return }
        switch record.content {
        case .list(let list):
            for scored in list {
                guard let number = statistics.items.number(of: scored.item) else { continue }
                // A score of zero is a score here; the accumulator marks untouched items by it.
                scores.add(
                    number, scored.score == 0 ? .leastNonzeroMagnitude : Double(scored.score))
            }
        case .vector(let vector):
            guard vector.count == dimension, items.isBound(to: statistics.items) else { return }
            var values = [Float](repeating: 0, count: items.count)
            var span = values.mutableSpan
            multiply(
                vectors.span, vector: vector.span, into: &span, m: items.count, n: dimension)
            items.give(values, of: statistics, to: &scores)
        }
    }

    /// Nothing is learnt here.
    public func solved(
        from material: TeacherMaterial, progress: (Double) -> Bool
    ) throws(SolveFailure) -> Self {
        throw .unsolvable("external: its scores are made by another system")
    }

    public mutating func bind(to items: KeyIndex) { self.items.bind(to: items) }

    public func encoded() -> [UInt8] {
        var out = ByteWriter()
        encodeHeader(into: &out)
        items.encode(into: &out)
        out.varint(UInt64(dimension))
        out.floats(vectors)
        return out.bytes
    }

    public func loaded(from bytes: [UInt8]) throws(MalformedBytes) -> Self {
        var reader = ByteReader(bytes)
        var model = self
        model.version = try readHeader(from: &reader)
        model.items = try ModelItems(from: &reader)
        model.dimension = try reader.count(max: ExternalRecord.dimensionMax)
        model.vectors = try reader.floats(model.items.count * model.dimension)
        guard reader.remaining == 0 else { throw MalformedBytes("bytes behind the model") }
        return model
    }
}
