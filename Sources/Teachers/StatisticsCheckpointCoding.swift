// Statistics as chunks of bytes: for fast recovery and for instances that join.
//
// The content is a pure function of the statistics' values: items are written by key, not by number, because numbers
// differ from process to process. Chunk 0 is the header; the others hold a range of items each.

public import Interactions

extension Statistics {
    static let checkpointVersion: UInt8 = 1
    /// The same with a co-occurrence row behind each row of transitions; written only when there are any.
    static let cooccurrenceVersion: UInt8 = 2
    /// A byte of marks follows, which says what stands behind each row of transitions; written only when the latest
    /// pairs are kept.
    static let markedVersion: UInt8 = 3
    private static let cooccurrenceMark: UInt8 = 1
    private static let recentMark: UInt8 = 2
    static let itemsPerChunk = 4_096

    /// The stored form. Costs about 10 bytes a pair; meant to run on a snapshot, off the event path.
    public func checkpointChunks(fingerprint: UInt64) -> [[UInt8]] {
        var header = ByteWriter()
        let hasPairs = cooccurrences.pairCount > 0
        if recent != nil {
            header.byte(Self.markedVersion)
            header.byte(Self.recentMark | (hasPairs ? Self.cooccurrenceMark : 0))
        } else {
            header.byte(hasPairs ? Self.cooccurrenceVersion : Self.checkpointVersion)
        }
        header.word64(fingerprint)
        header.varint(UInt64(items.count))
        header.varint(UInt64(popularities.count))
        for popularity in popularities {
            header.varint(UInt64(popularity.halfLife))
            header.varint(popularity.newest.map { UInt64($0) + 1 } ?? 0)
        }
        for key in items.keys { header.word64(key) }
        var chunks = [header.bytes]
        var start = 0
        while start < items.count {
            let end = min(start + Self.itemsPerChunk, items.count)
            chunks.append(chunk(start..<end))
            start = end
        }
        return chunks
    }

    private func chunk(_ range: Range<Int>) -> [UInt8] {
        var out = ByteWriter()
        for item in range {
            out.signed(counts[item])
            for popularity in popularities {
                let periods = popularity.periods(of: KeyIndex.Number(item))
                out.varint(UInt64(periods.count))
                for entry in periods {
                    out.varint(UInt64(entry.period))
                    out.signed(entry.sum)
                }
            }
            var row: [(column: KeyIndex.Number, amount: Int64)] = []
            transitions.rows[item].forEachNonzero { row.append((column: $0, amount: $1)) }
            Self.append(&row, to: &out)
            if cooccurrences.pairCount > 0 {
                row.removeAll(keepingCapacity: true)
                // Symmetric, so each pair once.
                cooccurrences.row(KeyIndex.Number(item)).forEachNonzero {
                    if $0 >= item { row.append((column: $0, amount: $1)) }
                }
                Self.append(&row, to: &out)
            }
            recent?.append(item, to: &out)
        }
        return out.bytes
    }

    private static func append(
        _ row: inout [(column: KeyIndex.Number, amount: Int64)], to out: inout ByteWriter
    ) {
        row.sort { $0.column < $1.column }
        out.varint(UInt64(row.count))
        var previous: Int64 = 0
        for cell in row {
            out.signed(Int64(cell.column) - previous)
            out.signed(cell.amount)
            previous = Int64(cell.column)
        }
    }

    /// Reads what `checkpointChunks` wrote. Throws when it is damaged, of another version, or for other half-lives.
    public init(
        checkpointChunks chunks: [[UInt8]], halfLivesSeconds: [Int64], pairCountMax: Int,
        fingerprint: UInt64
    ) throws(MalformedBytes) {
        self.init(halfLivesSeconds: halfLivesSeconds, pairCountMax: pairCountMax)
        guard let first = chunks.first else { throw MalformedBytes("the checkpoint is empty") }
        var header = ByteReader(first)
        let version = try header.byte()
        let marks: UInt8
        switch version {
        case Self.checkpointVersion: marks = 0
        case Self.cooccurrenceVersion: marks = Self.cooccurrenceMark
        case Self.markedVersion: marks = try header.byte()
        default: throw MalformedBytes("the checkpoint has another format")
        }
        guard try header.word64() == fingerprint else {
            throw MalformedBytes(
                "the checkpoint was made with other weights of event types or another reach")
        }
        let itemCount = try header.count(max: first.count / 8)
        guard try header.count(max: 64) == halfLivesSeconds.count else {
            throw MalformedBytes("the checkpoint has another number of half-lives")
        }
        for (index, halfLife) in halfLivesSeconds.enumerated() {
            guard try header.varint() == UInt64(halfLife) else {
                throw MalformedBytes("the checkpoint has another half-life")
            }
            let newest = try header.varint()
            restore(popularity: index, newest: newest == 0 ? nil : Int64(clamping: newest - 1))
        }
        for _ in 0..<itemCount { _ = number(of: try header.word64()) }
        guard items.count == itemCount, header.remaining == 0 else {
            throw MalformedBytes("the checkpoint names an item twice")
        }
        var pairs = marks & Self.recentMark == 0 ? nil : RecentPairs(pairCountMax: pairCountMax)
        pairs?.reserve(itemCount)
        var item = 0
        for bytes in chunks.dropFirst() {
            var reader = ByteReader(bytes)
            while reader.remaining > 0 {
                guard item < itemCount else { throw MalformedBytes("too many rows") }
                try readItem(KeyIndex.Number(item), itemCount: itemCount, from: &reader)
                if marks & Self.cooccurrenceMark != 0 {
                    try Self.readRow(itemCount: itemCount, from: &reader) { column, count in
                        restore(together: KeyIndex.Number(item), column, count: count)
                    }
                }
                try pairs?.restore(item, itemCount: itemCount, from: &reader)
                item += 1
            }
        }
        guard item == itemCount else { throw MalformedBytes("rows are missing") }
        if let pairs { restore(recent: pairs) }
    }

    private mutating func readItem(
        _ item: KeyIndex.Number, itemCount: Int, from reader: inout ByteReader
    ) throws(MalformedBytes) {
        restore(item: item, count: try reader.signed())
        for index in popularities.indices {
            for _ in 0..<(try reader.count(max: DecayedPopularity.span)) {
                let period = try reader.count(max: Int(UInt32.max))
                let sum = try reader.signed()
                restore(popularity: index, item: item, period: Int64(period), sum: sum)
            }
        }
        try Self.readRow(itemCount: itemCount, from: &reader) { column, amount in
            restore(row: item, column: column, amount: amount)
        }
    }

    private static func readRow(
        itemCount: Int, from reader: inout ByteReader, _ body: (KeyIndex.Number, Int64) -> Void
    ) throws(MalformedBytes) {
        var column: Int64 = 0
        for _ in 0..<(try reader.count(max: itemCount)) {
            column = column &+ (try reader.signed())
            let amount = try reader.signed()
            guard column >= 0, column < Int64(itemCount) else {
                throw MalformedBytes("a column is out of range")
            }
            body(KeyIndex.Number(column), amount)
        }
    }

    /// 64 bits in hexadecimal, equal for equal counts, transitions and co-occurrences, whatever the numbering of items
    /// or the order of events. Popularity is left out: it also depends on the clock of events, which a forgotten user
    /// may have moved.
    public var digest: String {
        var sum: UInt64 = 0
        for item in 0..<items.count {
            let key = items.keys[item]
            sum &+= Self.cell(key, 1, UInt64(bitPattern: counts[item]))
            transitions.rows[item].forEachNonzero { column, amount in
                sum &+= Self.cell(key, items.keys[Int(column)] | 1, UInt64(bitPattern: amount))
            }
            // Both directions are held and both are added up: the sum is symmetric, as the counts are.
            cooccurrences.row(KeyIndex.Number(item)).forEachNonzero { column, count in
                let other = items.keys[Int(column)]
                sum &+= Self.cell(~key, other, UInt64(bitPattern: count))
            }
        }
        return Self.digits(sum)
    }

    /// The same for decayed popularity and its clock.
    public var popularityDigest: String {
        var sum: UInt64 = 0
        for popularity in popularities {
            sum &+= UInt64(bitPattern: popularity.newest ?? -1)
            for item in 0..<items.count {
                for entry in popularity.periods(of: KeyIndex.Number(item)) {
                    sum &+= Self.cell(
                        items.keys[item], UInt64(bitPattern: entry.period),
                        UInt64(bitPattern: entry.sum))
                }
            }
        }
        return Self.digits(sum)
    }

    private static func digits(_ word: UInt64) -> String {
        let text = String(word, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }

    /// A hash of three words; zero amounts count nothing, so that what was undone leaves no trace.
    private static func cell(_ first: UInt64, _ second: UInt64, _ amount: UInt64) -> UInt64 {
        guard amount != 0 else { return 0 }
        var bytes = ByteWriter(reserving: 24)
        bytes.word64(first)
        bytes.word64(second)
        bytes.word64(amount)
        return xxh64(bytes.bytes)
    }
}
