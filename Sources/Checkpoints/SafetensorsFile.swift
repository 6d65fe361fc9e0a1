// Safetensors: eight bytes of length, a JSON header that says where each tensor lies, then the tensors' bytes
// (https://huggingface.co/docs/safetensors). The header is believed only when the tensors lie side by side, from the
// first byte of the data to the last, without a gap and without two sharing a byte.

public import JSONDocuments

/// Where one tensor is in a file.
public struct TensorEntry: Sendable, Equatable {
    public var name: String
    public var type: TensorType
    public var shape: [Int]
    /// Bytes, counted from the end of the header.
    public var range: Range<Int>

    public var count: Int { range.count / type.byteCount }
}

/// A safetensors file whose header has been checked. Tensors are read one at a time; nothing else is kept in memory.
public struct SafetensorsFile: Sendable {
    /// Some tens of bytes a tensor: the largest models stay below two megabytes.
    public static let headerBytesMax = 16 << 20
    public static let tensorsMax = 100_000
    public static let dimensionsMax = 8
    /// Bytes converted at a time.
    static let chunkBytes = 1 << 20

    private enum Source: Sendable {
        case memory([UInt8])
        case file(FileReader)
    }

    /// As errors call it.
    public let name: String
    /// In the order of their bytes.
    public let entries: [TensorEntry]
    public let metadata: [String: String]
    private let indexOfName: [ExactText: Int]
    private let source: Source
    private let dataStart: Int

    /// A file in memory.
    public init(bytes: [UInt8], named name: String) throws(DocumentError) {
        try self.init(.memory(bytes), byteCount: bytes.count, name: name)
    }

    /// A file on disk, which stays open.
    public init(path: String) throws(DocumentError) {
        let file = try FileReader(path: path)
        try self.init(.file(file), byteCount: file.byteCount, name: path)
    }

    private init(_ source: Source, byteCount: Int, name: String) throws(DocumentError) {
        guard byteCount >= 8 else {
            throw DocumentError(
                name, "\(byteCount) bytes are no safetensors file: 8 say its header")
        }
        let length = try Self.bytes(source, at: 0, count: 8)
            .reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(Self.headerBytesMax) else {
            throw DocumentError(
                name, "a header of \(length) bytes; at most \(Self.headerBytesMax) are read")
        }
        guard Int(length) <= byteCount - 8 else {
            throw DocumentError(
                name, "a header of \(length) bytes in a file of \(byteCount): the file is cut off")
        }
        let bytes = try Self.bytes(source, at: 8, count: Int(length))
        let limits = JSONLimits(bytesMax: Self.headerBytesMax, depthMax: 4)
        let header = try JSONNode(parsing: bytes, document: name, limits: limits)
        self.name = name
        self.source = source
        dataStart = 8 + Int(length)
        (entries, metadata) = try Self.read(header, dataCount: byteCount - dataStart)
        indexOfName = Dictionary(
            uniqueKeysWithValues: entries.enumerated().map { (ExactText($1.name), $0) })
    }

    public subscript(name: String) -> TensorEntry? {
        indexOfName[ExactText(name)].map { entries[$0] }
    }

    /// Converts a tensor into `floats`, whose count is the tensor's.
    public func read(
        _ entry: TensorEntry, into floats: inout MutableSpan<Float>
    ) throws(DocumentError) {
        precondition(floats.count == entry.count, "room for \(entry.name)")
        guard entry.type.isReadable else {
            throw DocumentError(
                name, at: entry.name, "type \(entry.type.rawValue); F32, F16 and BF16 are read")
        }
        var done = 0
        while done < entry.range.count {
            let count = min(Self.chunkBytes, entry.range.count - done)
            let bytes = try Self.bytes(
                source, at: dataStart + entry.range.lowerBound + done, count: count)
            entry.type.decode(bytes, into: &floats, from: done / entry.type.byteCount)
            done += count
        }
    }

    /// The same as a new array.
    public func floats(_ entry: TensorEntry) throws(DocumentError) -> [Float] {
        var floats = [Float](repeating: 0, count: entry.count)
        var span = floats.mutableSpan
        try read(entry, into: &span)
        return floats
    }

    private static func bytes(
        _ source: Source, at offset: Int, count: Int
    ) throws(DocumentError) -> [UInt8] {
        switch source {
        case .memory(let bytes): Array(bytes[offset..<offset + count])
        case .file(let file): try file.bytes(at: offset, count: count)
        }
    }
}

extension SafetensorsFile {
    private static func read(
        _ header: JSONNode, dataCount: Int
    ) throws(DocumentError) -> ([TensorEntry], [String: String]) {
        let members = try header.members()
        guard members.count <= tensorsMax else {
            throw header.refused("\(members.count) tensors; at most \(tensorsMax) are read")
        }
        var entries: [TensorEntry] = []
        var metadata: [String: String] = [:]
        for (name, node) in members {
            if name == "__metadata__" {
                for (key, value) in try node.members() { metadata[key] = try value.text() }
            } else {
                entries.append(try entry(name, node, dataCount: dataCount))
            }
        }
        entries.sort {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }
        var end = 0
        var previous = "the header"
        for entry in entries {
            let start = entry.range.lowerBound
            guard start == end else {
                let fault = start < end ? "overlaps" : "leaves \(start - end) bytes unused after"
                throw DocumentError(
                    header.document, at: entry.name,
                    "begins at byte \(start) and \(fault) \(previous), which ends at \(end)")
            }
            end = entry.range.upperBound
            previous = entry.name
        }
        guard end == dataCount else {
            throw header.refused(
                "\(dataCount) bytes of data, of which \(dataCount - end) are in no tensor")
        }
        return (entries, metadata)
    }

    private static func entry(
        _ name: String, _ node: JSONNode, dataCount: Int
    ) throws(DocumentError) -> TensorEntry {
        let typeNode = try node.member("dtype")
        guard let type = TensorType(rawValue: try typeNode.text()) else {
            throw typeNode.refused("no type we know")
        }
        let shapeNode = try node.member("shape")
        var shape: [Int] = []
        var byteCount = type.byteCount
        for dimension in try shapeNode.elements(countMax: dimensionsMax) {
            let size = try dimension.integer(in: 0...Int.max)
            shape.append(size)
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            guard !overflow else { throw shapeNode.refused("more bytes than 64 bits count") }
            byteCount = product
        }
        let offsetsNode = try node.member("data_offsets")
        let offsets = try offsetsNode.elements(countMax: 2)
        guard offsets.count == 2 else { throw offsetsNode.refused("a begin and an end") }
        let start = try offsets[0].integer(in: 0...Int.max)
        let end = try offsets[1].integer(in: 0...Int.max)
        guard start <= end, end <= dataCount else {
            throw offsetsNode.refused("[\(start), \(end)] is not within \(dataCount) bytes of data")
        }
        guard end - start == byteCount else {
            throw offsetsNode.refused(
                "\(end - start) bytes, but \(type.rawValue) of shape \(shape) takes \(byteCount)")
        }
        return TensorEntry(name: name, type: type, shape: shape, range: start..<end)
    }
}
