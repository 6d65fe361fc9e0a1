// swift-tools-version: 6.2
import PackageDescription

/// Rules every Swift target is compiled under.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),  // SE-0335
    .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
    .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
]

let nio = "swift-nio"
let nioCore: Target.Dependency = .product(name: "NIOCore", package: nio)
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: nio)
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: nio)
let argumentParser: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

// The order and the arrows are those of the code map in ARCHITECTURE.md; arrows point up the list.
let package = Package(
    name: "millrace",
    products: [.executable(name: "millrace", targets: ["millrace"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // What we call but did not write.
        .systemLibrary(
            name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(
            name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(name: "CShims"),
        .target(
            name: "CSimdjson", cxxSettings: [.unsafeFlags(["-O2"])],
            linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("stdc++")]),

        .target(
            name: "CKernels", cSettings: [.unsafeFlags(["-O2"])],
            linkerSettings: [.linkedLibrary("m")]),

        // The core: pure, no I/O, no clock.
        module("Interactions"),
        module("RecordDecoding", ["Interactions", "CSimdjson"]),
        module("JSONDocuments"),
        module("Tokenization", ["JSONDocuments", heap]),
        module("Checkpoints", ["JSONDocuments"]),
        module("Tensors", ["COpenBLAS", "CKernels"]),
        module("Transformer", ["Tensors"]),
        module(
            "LanguageModel",
            ["JSONDocuments", "Tokenization", "Checkpoints", "Tensors", "Transformer"]),
        module("Summaries", ["Interactions"]),
        module(
            "PreferenceRanking",
            [
                "JSONDocuments", "Tokenization", "Checkpoints", "Tensors", "Transformer",
                "LanguageModel", "Summaries",
            ]),
        module("Teachers", ["Interactions", "Tensors", "Transformer"]),
        module("TokenTrie"),
        module("Alignment", ["TokenTrie"]),
        module("ItemModel", ["TokenTrie", "Alignment", "Tensors", "Transformer"]),
        module("Combiner", ["Interactions"]),
        module("Filters"),
        module(
            "Recommender",
            [
                "Interactions", "Filters", "Tensors", "ItemModel", "Teachers", "TokenTrie",
                "Combiner",
            ]),
        module(
            "Evaluation",
            ["Interactions", "Summaries", "Teachers", "TokenTrie", "Combiner", "Recommender"]),

        module(
            "ModelFolders",
            [
                "Interactions", "JSONDocuments", "Tokenization", "Checkpoints", "Transformer",
                "LanguageModel", "ItemModel", "Teachers",
            ]),

        // The rim: ports, lanes and the parts that touch the world.
        module("Ports", ["Interactions", "Filters"]),
        module("Lanes", ["CShims"]),
        module(
            "Pipeline",
            [
                "Interactions", "Filters", "Summaries", "Teachers", "TokenTrie", "Combiner",
                "Recommender",
                "Ports", "Lanes",
                deque,
            ]),
        module("WireProtocol"),
        module(
            "KafkaIngest", ["Interactions", "RecordDecoding", "Ports", "Lanes", "CRdKafka"]),
        module("RedisState", ["Interactions", "Ports", "Lanes", "CHiredis"]),
        module(
            "SocketServer",
            [
                "Interactions", "Filters", "WireProtocol", "Ports", "CShims", nioCore, nioPosix,
                deque,
            ]),
        module(
            "SummaryWriters",
            [
                "Summaries", "PreferenceRanking", "JSONDocuments", "Tokenization", "Checkpoints",
                "Transformer", "LanguageModel", "Lanes", nioCore, nioPosix, nioHTTP1,
            ]),
        module("Telemetry", ["Ports", "Lanes", log, histogram, "CSystemd"]),
        module("OperationsServer", [nioCore, nioPosix, nioHTTP1]),
        module("Settings", ["Filters", yams]),
        .executableTarget(
            name: "millrace",
            dependencies: [
                "Interactions", "RecordDecoding", "JSONDocuments", "Tokenization", "Checkpoints",
                "TokenTrie", "Tensors", "Alignment", "ItemModel", "ModelFolders", "Teachers",
                "Combiner", "Recommender", "Evaluation", "Summaries", "LanguageModel",
                "Transformer",
                "PreferenceRanking", "Ports", "Lanes", "Pipeline", "WireProtocol", "KafkaIngest",
                "RedisState",
                "SocketServer", "SummaryWriters", "Telemetry", "OperationsServer", "Settings",
                "CShims",
                argumentParser, nioCore, nioPosix,
            ],
            swiftSettings: strict),

        // Tests, and what only tests use.
        .target(
            name: "Simulation",
            dependencies: [
                "Pipeline", "Ports", "Recommender", "Combiner", "Summaries", "Teachers",
                "Interactions", "TestKit",
            ],
            path: "Tests/Simulation", swiftSettings: strict),
        .target(name: "TestKit", path: "Tests/TestKit", swiftSettings: strict),
        .target(
            name: "ModelServer", dependencies: ["JSONDocuments", nioCore, nioPosix, nioHTTP1],
            path: "Tests/ModelServer", swiftSettings: strict),
        .target(
            name: "FuzzLaws",
            dependencies: [
                "WireProtocol", "RecordDecoding", "Interactions", "Teachers", "Recommender",
                "Evaluation", "Filters", "Ports", "Settings", "TestKit",
            ],
            path: "Tests/Fuzz/Laws", swiftSettings: strict),
        tests("FuzzTests", ["FuzzLaws", "TestKit"]),
        .target(
            name: "ReferenceModel", path: "Tests/ReferenceModel", swiftSettings: strict),
        tests("LanesTests", ["Lanes", "TestKit"]),
        tests("InteractionsTests", ["Interactions", "RecordDecoding", "TestKit"]),
        tests("JSONDocumentsTests", ["JSONDocuments", "TestKit"]),
        tests("TokenizationTests", ["Tokenization", "JSONDocuments", "TestKit"]),
        tests("CheckpointsTests", ["Checkpoints", "JSONDocuments", "TestKit"]),
        tests("TensorsTests", ["Tensors", "ReferenceModel", "TestKit"]),
        tests("TransformerTests", ["Transformer", "Tensors", "ReferenceModel", "TestKit"]),
        tests(
            "LanguageModelTests",
            [
                "LanguageModel", "Transformer", "Tensors", "Checkpoints", "Tokenization",
                "JSONDocuments", "TestKit",
            ]),
        tests("SummariesTests", ["Summaries", "Interactions", "TestKit"]),
        tests(
            "PreferenceRankingTests",
            [
                "PreferenceRanking", "Summaries", "LanguageModel", "Transformer", "Tensors",
                "Tokenization", "JSONDocuments", "TestKit",
            ]),
        tests(
            "TeachersTests", ["Teachers", "Transformer", "Tensors", "Interactions", "TestKit"]),
        tests("TokenTrieTests", ["TokenTrie", "TestKit"]),
        tests(
            "ItemModelTests",
            [
                "ItemModel", "Alignment", "TokenTrie", "Transformer", "Tensors", "ReferenceModel",
                "TestKit",
            ]),
        tests(
            "ModelFoldersTests",
            [
                "ModelFolders", "ItemModel", "LanguageModel", "Transformer", "Checkpoints",
                "Interactions",
                "Tokenization", "JSONDocuments", "TestKit",
            ]),
        tests("AlignmentTests", ["Alignment", "TokenTrie", "TestKit"]),
        tests("CombinerTests", ["Combiner", "Interactions", "TestKit"]),
        tests("FiltersTests", ["Filters", "TestKit"]),
        tests(
            "RecommenderTests",
            ["Recommender", "Filters", "Combiner", "Teachers", "Interactions", "TestKit"]),
        tests("EvaluationTests", ["Evaluation", "Combiner", "TestKit"]),
        tests(
            "PipelineTests",
            [
                "Pipeline", "Simulation", "Summaries", "Teachers", "Combiner", "Recommender",
                "Filters", "ItemModel", "TokenTrie", "TestKit",
            ]),
        tests("WireProtocolTests", ["WireProtocol", "TestKit"]),
        tests("KafkaIngestTests", ["KafkaIngest", "TestKit"]),
        tests("RedisStateTests", ["RedisState", "Pipeline", "TestKit"]),
        tests("SocketServerTests", ["SocketServer", "TestKit"]),
        tests(
            "SummaryWritersTests",
            [
                "SummaryWriters", "Summaries", "JSONDocuments", "Tokenization", "Checkpoints",
                "Transformer", "LanguageModel", "ModelServer", "TestKit", nioHTTP1,
            ]),
        tests("TelemetryTests", ["Telemetry", "OperationsServer", "TestKit"]),
        tests("SettingsTests", ["Settings", "Filters", "Interactions", "Teachers", "TestKit"]),
        tests(
            "DaemonTests",
            [
                "millrace", "KafkaIngest", "Pipeline", "Simulation", "WireProtocol", "Interactions",
                "JSONDocuments", "Tokenization", "Alignment", "ItemModel", "ModelFolders",
                "Settings",
                "Summaries",
                "LanguageModel", "PreferenceRanking", "Transformer", "Checkpoints", "ModelServer",
                "TestKit", nioHTTP1,
            ]),
        tests("RepositoryTests", ["Evaluation", "Summaries", "TestKit"]),
    ]
)

// `make fuzz`: libFuzzer drives the laws of Tests/Fuzz, and what they test is built to tell it where it has been.
if Context.environment["MILLRACE_FUZZ"] != nil {
    for target in package.targets where target.type == .regular && target.swiftSettings != nil {
        target.swiftSettings? += [.unsafeFlags(["-sanitize=fuzzer,address"])]
    }
    package.targets.append(
        .executableTarget(
            name: "Fuzz", dependencies: ["FuzzLaws"], path: "Tests/Fuzz/Driver",
            swiftSettings: strict,
            linkerSettings: [.unsafeFlags(["-sanitize=address"]), .linkedLibrary("stdc++")]))
}

// `make counts`: what callgrind counts; P5, P6 and P8, beside decoder.py and trie.py.
if Context.environment["MILLRACE_BENCHMARKS"] != nil {
    package.targets += [
        .executableTarget(
            name: "InstructionCounts",
            dependencies: [
                "Combiner", "Interactions", "RecordDecoding", "Teachers", "Recommender",
                "WireProtocol", "TestKit",
            ],
            path: "Tests/Benchmarks/InstructionCounts", swiftSettings: strict),
        .executableTarget(
            name: "ModelCosts", dependencies: ["ItemModel", "TokenTrie", "Tensors"],
            path: "Tests/Benchmarks/ModelCosts", swiftSettings: strict),
        .executableTarget(
            name: "KernelCounts", dependencies: ["Tensors"],
            path: "Tests/Benchmarks/KernelCounts", swiftSettings: strict),
        .executableTarget(
            name: "DecoderBenchmark", dependencies: ["LanguageModel", "Transformer", "Tensors"],
            path: "Tests/Benchmarks/DecoderBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "TeacherCosts", dependencies: ["Teachers", "Interactions", "Tensors"],
            path: "Tests/Benchmarks/TeacherCosts", swiftSettings: strict),
        .executableTarget(
            name: "TrieBenchmark", dependencies: ["Alignment", "TokenTrie"],
            path: "Tests/Benchmarks/TrieBenchmark", swiftSettings: strict),
    ]
}
