// A Hugging Face folder: config.json, and the weights in one safetensors file or in shards with an index.

public import JSONDocuments

/// An opened model folder. Every expected tensor is known to be there, in its shape and in a readable type.
public struct ModelFolder: Sendable {
    public static let shardsMax = 1024

    public let path: String
    public let configuration: ModelConfiguration
    /// `config.json` as it is written.
    public let document: JSONValue
    private let places: [ExactText: (file: Int, entry: TensorEntry)]
    private let files: [SafetensorsFile]

    /// Opens `path` and checks all of it but the values. Tensors that the model does not have are refused, unless
    /// `isExtra` knows them.
    public init(
        path: String, isExtra: (String) -> Bool = { _ in false }
    ) throws(DocumentError) {
        let root = try readDocument("\(path)/config.json")
        let configuration = try ModelConfiguration(reading: root)
        let (files, places) = try Self.open(path)
        for expected in configuration.tensors {
            guard let place = places[ExactText(expected.name)] else {
                throw DocumentError(path, at: expected.name, "this tensor is missing")
            }
            guard place.entry.shape == expected.shape else {
                throw DocumentError(
                    files[place.file].name, at: expected.name,
                    "shape \(place.entry.shape), but config.json asks for \(expected.shape)")
            }
            guard place.entry.type.isReadable else {
                throw DocumentError(
                    files[place.file].name, at: expected.name,
                    "type \(place.entry.type.rawValue); F32, F16 and BF16 are read")
            }
        }
        let known = Set(configuration.tensors.map { ExactText($0.name) })
        for name in places.keys.map(\.text).sorted()
        where !known.contains(ExactText(name)) && !configuration.isSuperfluous(name)
            && !isExtra(name)
        {
            throw DocumentError(
                path, at: name, "a \(configuration.family.rawValue) model has no such tensor")
        }
        self.path = path
        self.configuration = configuration
        document = root.value
        self.files = files
        self.places = places
    }

    public subscript(name: String) -> TensorEntry? { places[ExactText(name)]?.entry }

    /// Converts the tensor `name`, which is one of the model's, into `floats`.
    public func read(
        _ name: String, into floats: inout MutableSpan<Float>
    ) throws(DocumentError) {
        guard let place = places[ExactText(name)] else {
            throw DocumentError(path, at: name, "this tensor is missing")
        }
        try files[place.file].read(place.entry, into: &floats)
    }

    private typealias Places = [ExactText: (file: Int, entry: TensorEntry)]

    private static func open(_ path: String) throws(DocumentError) -> ([SafetensorsFile], Places) {
        let index = "\(path)/model.safetensors.index.json"
        let single = "\(path)/model.safetensors"
        guard !isPresent(single), isPresent(index) else {
            let file = try SafetensorsFile(path: single)
            let places = file.entries.map { (ExactText($0.name), (file: 0, entry: $0)) }
            return ([file], Dictionary(uniqueKeysWithValues: places))
        }
        var files: [SafetensorsFile] = []
        var fileOfName: [String: Int] = [:]
        var places: Places = [:]
        for (tensor, node) in try readDocument(index).member("weight_map").members() {
            let name = try node.text()
            if fileOfName[name] == nil {
                guard name.hasSuffix(".safetensors"), !name.contains("/"),
                    !name.utf8.contains(0)
                else { throw node.refused("not the name of a safetensors file in the folder") }
                guard files.count < shardsMax else {
                    throw node.refused("more than \(shardsMax) shards")
                }
                fileOfName[name] = files.count
                files.append(try SafetensorsFile(path: "\(path)/\(name)"))
            }
            guard let file = fileOfName[name], let entry = files[file][tensor] else {
                throw node.refused("\(name) does not hold this tensor")
            }
            places[ExactText(tensor)] = (file, entry)
        }
        return (files, places)
    }
}

/// Writes config.json and model.safetensors to the folder at `path`, which exists. Weights come first: a folder
/// without config.json is no model.
public func writeModel(
    _ configuration: ModelConfiguration, _ tensors: [NamedTensor], to path: String
) throws(DocumentError) {
    try writeSafetensors(tensors, to: "\(path)/model.safetensors")
    try replaceFile(
        "\(path)/config.json", with: configuration.document.serialised(.indented))
}
