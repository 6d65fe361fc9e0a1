// The arrows: what ARCHITECTURE.md draws, what Package.swift declares and what the files import are one and the same.

import Foundation
import TestKit
import Testing

@Suite("the module graph")
struct GraphTests {
    /// Take input, time and seed and return values: nothing of the system, no lock, no clock.
    static let core = [
        "Interactions", "RecordDecoding", "JSONDocuments", "Tokenization", "Tensors", "Transformer",
        "ItemModel", "Summaries", "PreferenceRanking", "Teachers", "TokenTrie", "Alignment",
        "Combiner", "Filters", "Recommender", "Evaluation",
    ]
    /// Touch the world, each its own piece of it; they meet in Ports.
    static let adapters = [
        "KafkaIngest", "RedisState", "SocketServer", "Telemetry", "OperationsServer", "Settings",
        "Checkpoints",
    ]
    /// Who may see a library that is not written in Swift.
    static let ownersOfC = [
        "CRdKafka": ["KafkaIngest"], "CHiredis": ["RedisState"], "CSystemd": ["Telemetry"],
        "CSimdjson": ["RecordDecoding"], "COpenBLAS": ["Tensors"],
        "CKernels": ["Tensors"],
        "CShims": ["Lanes", "SocketServer", "millrace"],
    ]
    /// What the toolchain brings and a module outside the core may import without declaring it.
    static let system: Set = ["Glibc", "Synchronization"]
    /// Foundation loads slowly and locks; tools of the command line may use it.
    static let foundationUsers = ["millrace"]

    @Test("ARCHITECTURE.md draws the arrows that Package.swift declares")
    func drawn() throws {
        let declared = try Graph.declared()
        let drawn = try Graph.drawn()
        #expect(Set(drawn.keys) == Set(declared.keys), "the code map lists other modules")
        for (module, dependencies) in declared {
            #expect(drawn[module] == dependencies, "\(module) in ARCHITECTURE.md")
        }
    }

    @Test("files import what their module declares, and no more")
    func imports() throws {
        let declared = try Graph.declared()
        for (file, imported) in try Graph.imports() {
            var allowed = declared[file.module] ?? []
            if !Self.core.contains(file.module) { allowed.formUnion(Self.system) }
            if Self.foundationUsers.contains(file.module) { allowed.insert("Foundation") }
            #expect(
                imported.isSubset(of: allowed),
                "\(file.path) imports \(imported.subtracting(allowed).sorted())")
        }
    }

    @Test("every declared arrow is used")
    func used() throws {
        var used: [String: Set<String>] = [:]
        for (file, imported) in try Graph.imports() {
            used[file.module, default: []].formUnion(imported)
        }
        for (module, dependencies) in try Graph.declared() {
            let idle = dependencies.subtracting(used[module] ?? [])
            #expect(idle.isEmpty, "\(module) declares \(idle.sorted()) and imports none of it")
        }
    }

    @Test("adapters never import each other, nor the core's engine")
    func adapters() throws {
        let foreign = Set(Self.adapters + ["Pipeline", "Recommender", "Teachers", "Evaluation"])
        for (module, dependencies) in try Graph.declared() where Self.adapters.contains(module) {
            #expect(dependencies.isDisjoint(with: foreign), "\(module)")
        }
    }

    @Test("a C module is seen in its owner's folder only")
    func foreignCode() throws {
        for (file, imported) in try Graph.imports() {
            for (module, owners) in Self.ownersOfC where imported.contains(module) {
                #expect(owners.contains(file.module), "\(file.path) imports \(module)")
            }
        }
    }
}

enum Graph {
    /// Dependencies of every Swift module below Sources, read from Package.swift.
    static func declared() throws -> [String: Set<String>] {
        let text = try Repository.file("Package.swift").text
        var products: [String: String] = [:]
        for match in text.matches(
            of: #/let (\w+): Target\.Dependency = \.product\(\s*name: "(\w+)"/#)
        {
            products[String(match.1)] = String(match.2)
        }
        func names(_ list: Substring) -> Set<String> {
            Set(
                list.matches(of: #/"?(\w+)"?/#).map { match in
                    products[String(match.1)] ?? String(match.1)
                })
        }
        var modules: [String: Set<String>] = [:]
        for match in text.matches(of: #/\bmodule\(\s*"(\w+)"(?:,\s*\[([^\]]*)\])?\s*\)/#) {
            modules[String(match.1)] = names(match.2 ?? "")
        }
        let program = #/\.executableTarget\(\s*name: "(\w+)",\s*dependencies: \[([^\]]*)\]/#
        for match in text.matches(of: program) where Repository.exists("Sources/\(match.1)") {
            modules[String(match.1)] = names(match.2)
        }
        return modules
    }

    /// The code map's headings: `### Pipeline ← Recommender, Ports, Lanes, DequeModule`.
    static func drawn() throws -> [String: Set<String>] {
        var modules: [String: Set<String>] = [:]
        for line in try Repository.file("ARCHITECTURE.md").lines {
            guard let match = line.wholeMatch(of: #/### `(\w+)`(?: → (.+))?/#) else { continue }
            modules[String(match.1)] = Set(
                (match.2 ?? "").matches(of: #/\w+/#).map { String($0.0) })
        }
        return modules
    }

    static func imports() throws -> [(RepositoryFile, Set<String>)] {
        let line = #/^\s*(?:@\w+\s+)*(?:public |package |internal |private )?import (?:\w+ )?(\w+)/#
        return try Repository.sources.map { file in
            let lines = SwiftCode(try file.text).lines
            return (file, Set(lines.compactMap { $0.firstMatch(of: line).map { String($0.1) } }))
        }
    }
}
