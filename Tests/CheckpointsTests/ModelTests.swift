import Checkpoints
import Foundation
import JSONDocuments
import TestKit
import Testing

private func golden() throws -> JSONNode {
    try JSONNode(parsing: fixture("model-configurations.json"), document: "config.json")
}

private func edited(_ node: JSONNode, _ name: String, _ value: JSONValue?) -> JSONNode {
    guard case .object(var members) = node.value else { return node }
    members.removeAll { $0.name == name }
    if let value { members.append(JSONMember(name, value)) }
    return JSONNode(.object(members), document: "config.json")
}

@Suite("model configurations")
struct ModelConfigurationTests {
    static let families = ModelConfiguration.Family.allCases

    @Test("names and shapes of all tensors are those of transformers", arguments: families)
    func tensors(family: ModelConfiguration.Family) throws {
        let node = try golden().member(family.rawValue)
        let configuration = try ModelConfiguration(reading: node.member("config"))
        let expected = try node.member("tensors").members().map { name, shape in
            "\(name) \(try shape.elements().map { try $0.integer(in: 0...1000) })"
        }
        #expect(Set(configuration.tensors.map { "\($0.name) \($0.shape)" }) == Set(expected))
        #expect(configuration.tensors.count == expected.count)
    }

    @Test("rotary scaling reads from both places where it is written")
    func rotary() throws {
        let llama = try ModelConfiguration(reading: golden().member("llama").member("config"))
        #expect(
            llama.rotaryScaling
                == .llama3(
                    factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4,
                    originalPositionsMax: 32))
        #expect(llama.rotaryBase == 500_000)
        let qwen = try golden().member("qwen2").member("config")
        #expect(try ModelConfiguration(reading: qwen).rotaryScaling == .linear(factor: 2))
        var older = edited(edited(qwen, "rope_parameters", nil), "rope_theta", 1e6)
        #expect(try ModelConfiguration(reading: older).rotaryScaling == .none)
        older = edited(older, "rope_scaling", .members(["type": "linear", "factor": 4.0]))
        let read = try ModelConfiguration(reading: older)
        #expect(read.rotaryScaling == .linear(factor: 4) && read.rotaryBase == 1e6)
        #expect(
            try ModelConfiguration(reading: golden().member("qwen3").member("config")).endTokens
                == [1, 2])
    }

    @Test("what is written reads back", arguments: families)
    func roundTrip(family: ModelConfiguration.Family) throws {
        var made = try ModelConfiguration(
            reading: golden().member(family.rawValue).member("config"))
        made.millrace = .members(["mask": .members(["layout": "L1", "intra": 1])])
        made.normEpsilon = 1e-6
        let bytes = made.document.serialised(.indented)
        let read = try ModelConfiguration(
            reading: JSONNode(parsing: bytes, document: "config.json"))
        #expect(read == made)
    }

    static let faults: [(String, JSONValue?, String)] = [
        ("model_type", "gemma", "model_type"), ("model_type", nil, "model_type"),
        ("architectures", .array(["LlamaForSequenceClassification"]), "architectures[0]"),
        ("hidden_size", 0, "hidden_size"), ("hidden_size", "16", "hidden_size"),
        ("hidden_size", 1_000_000_000, "hidden_size"), ("num_hidden_layers", 100_000, "layers"),
        ("num_attention_heads", 3, "num_key_value_heads"), ("num_key_value_heads", 3, "divide"),
        ("head_dim", 3, "even"), ("vocab_size", nil, "vocab_size"),
        ("hidden_act", "gelu", "hidden_act"), ("mlp_bias", true, "mlp_bias"),
        ("quantization_config", .object([]), "quantization_config"),
        ("partial_rotary_factor", 0.5, "partial_rotary_factor"),
        ("rope_parameters", .members(["rope_type": "yarn", "factor": 2.0]), "yarn"),
        ("rope_parameters", .members(["rope_type": "dynamic"]), "dynamic"),
        ("rope_parameters", .members(["rope_type": "linear"]), "rope_parameters.factor"),
        ("bos_token_id", 40, "bos_token_id"), ("eos_token_id", .array([1, -1]), "eos_token_id[1]"),
        ("layer_types", .array(["sliding_attention"]), "layer_types[0]"),
        ("tie_word_embeddings", 1, "tie_word_embeddings"), ("rms_norm_eps", -1.0, "rms_norm_eps"),
    ]

    @Test("what is not understood is refused by its key", arguments: faults.indices)
    func refused(index: Int) throws {
        let (key, value, word) = Self.faults[index]
        let root = edited(try golden().member("llama").member("config"), key, value)
        let error = #expect(throws: DocumentError.self) { try ModelConfiguration(reading: root) }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("config.json: ") && text.contains(word), "\(text)")
    }
}

@Suite("model folders")
struct ModelFolderTests {
    static func values(_ configuration: ModelConfiguration) -> [NamedTensor] {
        var random = SeededRandom(seed: 3)
        return configuration.tensors.map { expected in
            NamedTensor(
                expected.name, shape: expected.shape,
                values: (0..<expected.shape.reduce(1, *)).map { _ in
                    Float.random(in: -1...1, using: &random)
                })
        }
    }

    static func small(_ family: ModelConfiguration.Family) -> ModelConfiguration {
        ModelConfiguration(
            family: family, vocabularyCount: 20, hiddenSize: 8, intermediateSize: 12,
            layerCount: 2, headCount: 2, positionsMax: 32)
    }

    private func check(_ path: String, _ tensors: [NamedTensor]) throws {
        let folder = try ModelFolder(path: path)
        for tensor in tensors {
            var floats = [Float](repeating: 0, count: tensor.values.count)
            var span = floats.mutableSpan
            try folder.read(tensor.name, into: &span)
            #expect(floats == tensor.values)
        }
    }

    @Test("a model that is written is read", arguments: ModelConfiguration.Family.allCases)
    func roundTrip(family: ModelConfiguration.Family) throws {
        let folder = try TemporaryDirectory()
        let tensors = Self.values(Self.small(family))
        try writeModel(Self.small(family), tensors, to: folder.path)
        try check(folder.path, tensors)
    }

    @Test("missing, misshapen and unknown tensors are refused by name")
    func wrongTensors() throws {
        let folder = try TemporaryDirectory()
        let configuration = Self.small(.qwen3)
        var tensors = Self.values(configuration)
        func refusal(_ tensors: [NamedTensor]) throws -> String {
            try writeModel(configuration, tensors, to: folder.path)
            let error = #expect(throws: DocumentError.self) { try ModelFolder(path: folder.path) }
            return error?.description ?? ""
        }
        #expect(
            try refusal(Array(tensors.dropLast())).contains(
                "lm_head.weight: this tensor is missing"))
        tensors[0].shape = [8, 20]
        #expect(try refusal(tensors).contains("model.embed_tokens.weight: shape [8, 20]"))
        tensors[0].shape = [20, 8]
        let extra = NamedTensor("model.extra", shape: [1], values: [0])
        #expect(try refusal(tensors + [extra]).contains("model.extra: a qwen3 model has no such"))
        let opened = try ModelFolder(path: folder.path, isExtra: { $0 == "model.extra" })
        #expect(opened["model.extra"]?.shape == [1])
        let inverse = NamedTensor(
            "model.layers.0.self_attn.rotary_emb.inv_freq", shape: [1], values: [0])
        try writeModel(configuration, tensors + [inverse], to: folder.path)
        #expect(throws: Never.self) { try ModelFolder(path: folder.path) }
    }

    @Test("shards are found by their index, which may name no file outside the folder")
    func shards() throws {
        let folder = try TemporaryDirectory()
        let configuration = Self.small(.llama)
        let tensors = Self.values(configuration)
        try writeModel(configuration, tensors, to: folder.path)
        try FileManager.default.removeItem(atPath: folder.file("model.safetensors"))
        let halves = [Array(tensors[..<7]), Array(tensors[7...])]
        var map: [JSONMember] = []
        for (index, half) in halves.enumerated() {
            let name = "model-0000\(index + 1)-of-00002.safetensors"
            try writeSafetensors(half, to: folder.file(name))
            map += half.map { JSONMember($0.name, .string(name)) }
        }
        let index = folder.file("model.safetensors.index.json")
        func writeIndex(_ map: [JSONMember]) throws {
            let document = JSONValue.members(["weight_map": .object(map)])
            try replaceFile(index, with: document.serialised(.indented))
        }
        try writeIndex(map)
        try check(folder.path, tensors)
        for name in [
            "../x.safetensors", "/etc/passwd", "none.safetensors", "a\0.safetensors", map[20].value,
        ] {
            var wrong = map
            wrong[0].value = name
            try writeIndex(wrong)
            #expect(throws: DocumentError.self) { try ModelFolder(path: folder.path) }
        }
        try writeIndex(Array(map.dropLast()))
        #expect(throws: DocumentError.self) { try ModelFolder(path: folder.path) }
    }
}

@Suite("adapter folders")
struct AdapterTests {
    private static let base: ModelConfiguration = {
        var base = ModelConfiguration(
            family: .llama, vocabularyCount: 40, hiddenSize: 16, intermediateSize: 24,
            layerCount: 1, headCount: 4, positionsMax: 64)
        base.keyValueHeadCount = 2
        return base
    }()

    @Test("an adapter of PEFT is read")
    func golden() throws {
        let path = fixtures.appending(path: "adapter").path
        let adapter = try Adapter(folder: path, for: Self.base)
        #expect(adapter.rank == 2 && adapter.alpha == 4 && adapter.scale == 2)
        #expect(adapter.targetModules == ["down_proj", "q_proj", "v_proj"])
        #expect(
            adapter.pairs.map(\.module) == [
                "model.layers.0.mlp.down_proj", "model.layers.0.self_attn.q_proj",
                "model.layers.0.self_attn.v_proj",
            ])
        #expect(adapter.pairs.map(\.inputCount) == [24, 16, 16])
        #expect(adapter.pairs.map(\.outputCount) == [16, 16, 8])
        #expect(adapter.pairs.allSatisfy { $0.up.allSatisfy { $0 == 0 } })
    }

    @Test("what is written reads back, with tensors and fields of our own")
    func roundTrip() throws {
        let folder = try TemporaryDirectory()
        var adapter = try Adapter(
            folder: fixtures.appending(path: "adapter").path, for: Self.base)
        adapter.isRankStabilised = true
        adapter.extras = [NamedTensor("millrace.identity", shape: [2, 2], values: [1, 2, 3, 4])]
        adapter.millrace = .members(["version": 3])
        try adapter.write(folder: folder.path)
        #expect(try Adapter(folder: folder.path, for: Self.base) == adapter)
    }

    @Test("matrices that do not fit the base are refused by name")
    func refused() throws {
        let folder = try TemporaryDirectory()
        let adapter = try Adapter(
            folder: fixtures.appending(path: "adapter").path, for: Self.base)
        var other = Self.base
        other.intermediateSize = 32
        try adapter.write(folder: folder.path)
        let error = #expect(throws: DocumentError.self) {
            try Adapter(folder: folder.path, for: other)
        }
        #expect(error?.description.contains("down_proj.lora_A.weight: shape [2, 24]") == true)
        var strange = adapter
        strange.pairs[0].module = "model.layers.1.mlp.down_proj"
        try strange.write(folder: folder.path)
        #expect(throws: DocumentError.self) { try Adapter(folder: folder.path, for: Self.base) }
        for (key, value) in [
            ("peft_type", "IA3"), ("bias", "all"), ("use_dora", true), ("r", 3),
            ("modules_to_save", ["lm_head"]), ("modules_to_save", ["model.norm"]),
            ("rank_pattern", ["q_proj": 4]),
        ] as [(String, Any)] {
            try adapter.write(folder: folder.path)
            let path = folder.file("adapter_config.json")
            let data = try Data(contentsOf: URL(filePath: path))
            var config = try #require(
                JSONSerialization.jsonObject(with: data) as? [String: Any])
            config[key] = value
            try JSONSerialization.data(withJSONObject: config).write(to: URL(filePath: path))
            #expect(throws: DocumentError.self, "\(key)") {
                try Adapter(folder: folder.path, for: Self.base)
            }
        }
    }
}
