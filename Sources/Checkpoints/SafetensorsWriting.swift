// Tensors to a safetensors file: header padded so that the data begins at a multiple of eight, names sorted, the file
// in place only when it is whole.

public import JSONDocuments

/// A tensor with its values, row-major.
public struct NamedTensor: Sendable, Equatable {
    public var name: String
    public var shape: [Int]
    public var values: [Float]

    /// `values` holds the product of `shape`.
    public init(_ name: String, shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "\(name): \(shape) and \(values.count)")
        self.name = name
        self.shape = shape
        self.values = values
    }
}

/// Writes `tensors`, whose names differ, to `path`. Readers of the path see the old file or the whole new one.
public func writeSafetensors(
    _ tensors: [NamedTensor], type: TensorType = .f32,
    metadata: KeyValuePairs<String, String> = ["format": "pt"], to path: String
) throws(DocumentError) {
    let sorted = tensors.sorted { $0.name < $1.name }
    var file = try AtomicFile(path: path)
    try file.append(safetensorsHeader(sorted, type: type, metadata: metadata))
    for tensor in sorted {
        var at = 0
        while at < tensor.values.count {
            let end = min(tensor.values.count, at + SafetensorsFile.chunkBytes / 4)
            try file.append(type.encode(tensor.values[at..<end]))
            at = end
        }
    }
    try file.finish()
}

private func safetensorsHeader(
    _ tensors: [NamedTensor], type: TensorType, metadata: KeyValuePairs<String, String>
) -> [UInt8] {
    var members = [
        JSONMember("__metadata__", .object(metadata.map { JSONMember($0.key, .string($0.value)) }))
    ]
    var offset = 0
    for tensor in tensors {
        let end = offset + tensor.values.count * type.byteCount
        members.append(
            JSONMember(
                tensor.name,
                .members([
                    "dtype": .string(type.rawValue),
                    "shape": .array(tensor.shape.map { .integer(Int64($0)) }),
                    "data_offsets": .array([.integer(Int64(offset)), .integer(Int64(end))]),
                ])))
        offset = end
    }
    var header = JSONValue.object(members).serialised()
    while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
    let length = UInt64(header.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + header
}
