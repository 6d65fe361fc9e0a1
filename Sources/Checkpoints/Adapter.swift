// LoRA adapters (Hu et al. 2021) as PEFT writes them: adapter_config.json and adapter_model.safetensors. Beside the
// matrices an adapter of ours carries tensors under `millrace.`, which PEFT leaves alone.

public import JSONDocuments

/// The two matrices added to one linear module: W + scale · B A.
public struct LowRankPair: Sendable, Equatable {
    /// Such as `model.layers.0.self_attn.q_proj`.
    public var module: String
    public var inputCount: Int
    public var outputCount: Int
    /// A: [rank, inputs].
    public var down: [Float]
    /// B: [outputs, rank].
    public var up: [Float]

    public init(module: String, inputCount: Int, outputCount: Int, down: [Float], up: [Float]) {
        self.module = module
        self.inputCount = inputCount
        self.outputCount = outputCount
        self.down = down
        self.up = up
    }
}

/// A LoRA adapter.
public struct Adapter: Sendable, Equatable {
    public static let rankMax = 1024
    public static let extraPrefix = "millrace."
    static let modulePrefix = "base_model.model."
    static let lastNorm = "model.norm"
    private static let lastNormName = "\(modulePrefix)\(lastNorm).weight"

    public var rank: Int
    public var alpha: Double
    /// The scale is alpha / √rank instead of alpha / rank.
    public var isRankStabilised = false
    /// The last parts of module names, such as `q_proj`.
    public var targetModules: [String]
    public var baseModel: String?
    public var pairs: [LowRankPair]
    /// The last norm's gain, learnt in full: PEFT's `modules_to_save: ["model.norm"]`. Nil where it is the base's.
    public var lastNormGain: [Float]?
    /// Tensors whose names begin with `millrace.`.
    public var extras: [NamedTensor] = []
    /// Our own section of adapter_config.json.
    public var millrace: JSONValue?

    public var scale: Double {
        alpha / (isRankStabilised ? Double(rank).squareRoot() : Double(rank))
    }

    public init(rank: Int, alpha: Double, targetModules: [String], pairs: [LowRankPair]) {
        self.rank = rank
        self.alpha = alpha
        self.targetModules = targetModules
        self.pairs = pairs
    }
}

extension Adapter {
    /// Reads the adapter in the folder `path`; its matrices must fit the modules of `model`. One with a last norm of
    /// its own is refused unless `takesLastNorm`.
    public init(
        folder path: String, for model: ModelConfiguration, takesLastNorm: Bool = false
    ) throws(DocumentError) {
        let root = try readDocument("\(path)/adapter_config.json")
        try self.init(reading: root, takesLastNorm)
        let file = try SafetensorsFile(path: "\(path)/adapter_model.safetensors")
        try readTensors(file, model)
        millrace = root.value["millrace"]
    }

    private init(reading root: JSONNode, _ takesLastNorm: Bool) throws(DocumentError) {
        let type = try root.member("peft_type")
        guard try type.text() == "LORA" else { throw type.refused("only LORA is supported") }
        let usual: KeyValuePairs<String, JSONValue> = [
            "bias": "none", "fan_in_fan_out": false, "use_dora": false, "lora_bias": false,
            "rank_pattern": .object([]), "alpha_pattern": .object([]), "layers_to_transform": .null,
            "layer_replication": .null, "use_qalora": false,
            "target_parameters": .null, "trainable_token_indices": .null, "use_bdlora": .null,
            "alora_invocation_tokens": .null, "exclude_modules": .null,
        ]
        for (key, value) in usual {
            if let node = try root.optional(key), node.value != value, node.value != .array([]) {
                throw node.refused("not supported; adapters are plain LoRA")
            }
        }
        if let saved = try root.optional("modules_to_save"), saved.value != .null,
            saved.value != .array([]),
            !takesLastNorm || saved.value != .array([.string(Self.lastNorm)])
        {
            throw saved.refused(
                takesLastNorm
                    ? "\"\(Self.lastNorm)\" is the only module that may be learnt in full"
                    : "not supported; adapters are plain LoRA")
        }
        var targets: [String] = []
        for target in try root.member("target_modules").elements(countMax: 1024) {
            targets.append(try target.text())
        }
        self.init(
            rank: try root.member("r").integer(in: 1...Self.rankMax),
            alpha: try root.member("lora_alpha").real(in: 0...1e6), targetModules: targets,
            pairs: [])
        isRankStabilised = try root.optional("use_rslora")?.flag() ?? false
        baseModel = try root.optional("base_model_name_or_path")?.text()
    }

    private mutating func readTensors(
        _ file: SafetensorsFile, _ model: ModelConfiguration
    ) throws(DocumentError) {
        for entry in file.entries.sorted(by: { $0.name < $1.name }) {
            if entry.name.hasPrefix(Self.extraPrefix) {
                extras.append(
                    NamedTensor(entry.name, shape: entry.shape, values: try file.floats(entry)))
                continue
            }
            if entry.name == Self.lastNormName {
                lastNormGain = try gain(entry, file, model)
                continue
            }
            let suffix = ".lora_A.weight"
            if entry.name.hasSuffix(".lora_B.weight") {
                let partner = entry.name.dropLast(suffix.utf8.count) + suffix
                guard file[String(partner)] != nil else {
                    throw DocumentError(file.name, at: entry.name, "without its \(partner)")
                }
                continue
            }
            guard entry.name.hasPrefix(Self.modulePrefix), entry.name.hasSuffix(suffix) else {
                throw DocumentError(file.name, at: entry.name, "no matrix of a LoRA adapter")
            }
            let module = String(
                entry.name.dropFirst(Self.modulePrefix.count).dropLast(suffix.count))
            pairs.append(try pair(module, entry, file, model))
        }
    }

    private func gain(
        _ entry: TensorEntry, _ file: SafetensorsFile, _ model: ModelConfiguration
    ) throws(DocumentError) -> [Float] {
        guard entry.shape == [model.hiddenSize] else {
            throw DocumentError(
                file.name, at: entry.name,
                "shape \(entry.shape), but [\(model.hiddenSize)] fits the base")
        }
        return try file.floats(entry)
    }

    private func pair(
        _ module: String, _ down: TensorEntry, _ file: SafetensorsFile, _ model: ModelConfiguration
    ) throws(DocumentError) -> LowRankPair {
        guard let shape = model.matrixShape(ofModule: module) else {
            throw DocumentError(file.name, at: down.name, "the base model has no such module")
        }
        let upName = "\(Self.modulePrefix)\(module).lora_B.weight"
        guard let up = file[upName] else {
            throw DocumentError(file.name, at: upName, "this tensor is missing")
        }
        for (entry, expected) in [(down, [rank, shape[1]]), (up, [shape[0], rank])]
        where entry.shape != expected {
            throw DocumentError(
                file.name, at: entry.name, "shape \(entry.shape), but \(expected) fits the base")
        }
        return LowRankPair(
            module: module, inputCount: shape[1], outputCount: shape[0],
            down: try file.floats(down), up: try file.floats(up))
    }

    /// Writes the adapter to the folder at `path`, which exists. Weights come first, as for a model.
    public func write(folder path: String) throws(DocumentError) {
        let matrices = pairs.flatMap { pair in
            let name = "\(Self.modulePrefix)\(pair.module)"
            return [
                NamedTensor(
                    "\(name).lora_A.weight", shape: [rank, pair.inputCount], values: pair.down),
                NamedTensor(
                    "\(name).lora_B.weight", shape: [pair.outputCount, rank], values: pair.up),
            ]
        }
        precondition(
            extras.allSatisfy { $0.name.hasPrefix(Self.extraPrefix) }, "names of extra tensors")
        let saved = lastNormGain.map { gain in
            NamedTensor(Self.lastNormName, shape: [gain.count], values: gain)
        }
        try writeSafetensors(
            matrices + (saved.map { [$0] } ?? []) + extras, to: "\(path)/adapter_model.safetensors")
        try replaceFile("\(path)/adapter_config.json", with: document.serialised(.indented))
    }

    private var document: JSONValue {
        var members = [
            JSONMember("peft_type", "LORA"), JSONMember("task_type", "CAUSAL_LM"),
            JSONMember("r", .integer(Int64(rank))), JSONMember("lora_alpha", .real(alpha)),
            JSONMember("lora_dropout", .real(0)), JSONMember("use_rslora", .bool(isRankStabilised)),
            JSONMember("target_modules", .array(targetModules.map { .string($0) })),
            JSONMember("bias", "none"), JSONMember("fan_in_fan_out", false),
            JSONMember("inference_mode", true),
            JSONMember("base_model_name_or_path", baseModel.map { .string($0) } ?? .null),
        ]
        if lastNormGain != nil {
            members.append(JSONMember("modules_to_save", .array([.string(Self.lastNorm)])))
        }
        if let millrace { members.append(JSONMember("millrace", millrace)) }
        return .object(members)
    }
}
