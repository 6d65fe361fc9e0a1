// P8: the masked next-token step and TCA4Rec's targets on a catalogue of token paths, for peers/trie.py to set beside
// PyTorch. Arguments: the file of paths (one item a line, tokens apart by spaces) and the vocabulary's size. Prints
// one JSON object; times in microseconds, medians of many rounds.

import Alignment
import Foundation
import TokenTrie

func median(_ rounds: Int, _ body: () throws -> Void) rethrows -> Double {
    var times: [Double] = []
    for _ in 0..<rounds {
        let start = DispatchTime.now().uptimeNanoseconds
        try body()
        times.append(Double(DispatchTime.now().uptimeNanoseconds - start) / 1000)
    }
    return times.sorted()[rounds / 2]
}

func catalogue(_ paths: [[Int32]], vocabulary: Int) throws -> ItemPaths {
    var all = ItemPaths(vocabulary: vocabulary, endToken: 0)
    for (item, path) in paths.enumerated() { try all.append(item: Int32(item), path: path) }
    return all
}

/// Logits without a pattern, the same in every run.
func numbers(_ count: Int) -> [Float] {
    var state: UInt64 = 1
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40) / 16_777_216 * 8 - 4
    }
}

func report() throws {
    let vocabulary = Int(CommandLine.arguments[2]) ?? 0
    let text = try String(contentsOfFile: CommandLine.arguments[1], encoding: .utf8)
    let paths = text.split(separator: "\n").map { $0.split(separator: " ").map { Int32($0) ?? 0 } }
    var figures: [String: Double] = [:]
    let input = try catalogue(paths, vocabulary: vocabulary)
    let trie = try CatalogueTrie(input)
    figures["items"] = Double(trie.count)
    figures["bytes"] = Double(trie.bytes)
    figures["build"] = try median(9) { _ = try CatalogueTrie(input) }

    // One step of a beam: gather the legal logits of 20 prefixes, softmax over each, best tokens.
    let logits = numbers(20 * vocabulary)
    let items = (0..<20).map { Int32($0 * paths.count / 20) }
    var rows: [TrieNode] = []
    for item in items {
        let path = trie.path(of: item) ?? []
        let branchings = trie.branchings(of: path) ?? []
        rows.append(branchings[branchings.count / 2].node)
    }
    var legal = LegalTokens()
    var answers: [Float] = []
    var sink = 0.0
    func step(_ nodes: [TrieNode]) {
        legal.removeAll()
        for node in nodes { legal.append(node, of: trie) }
        let rows = logits.span.extracting(0..<nodes.count * vocabulary)
        legal.logProbabilities(logits: rows, vocabulary: vocabulary, into: &answers)
        sink += Double(answers[0])
    }
    figures["step_beam"] = median(2001) { step(rows) }
    figures["step_root"] = median(2001) { step([trie.root]) }

    // Targets of one example: scores of all items to distributions at every branching prefix of a path.
    let scores = numbers(paths.count)
    var teacher = try TeacherDistribution(over: trie)
    var next = 0
    figures["targets_full"] = try median(2001) {
        try teacher.load(scores)
        let targets = try teacher.targets(for: Int32(next), keptMax: Int.max)
        sink += Double(targets.shares.count)
        next = (next + 997) % paths.count
    }
    var bytes = 0
    figures["targets_kept"] = try median(2001) {
        try teacher.load(scores)
        let targets = try teacher.targets(for: Int32(next))
        bytes += targets.bytes
        next = (next + 997) % paths.count
    }
    figures["target_bytes"] = Double(bytes) / 2001

    // Growth: 200 000 items of 12 tokens; and one item that enters.
    let many = numbers(200_000 * 12).enumerated().map { index, value in
        let depth = index % 12
        let width = depth < 2 ? 60 : depth < 5 ? 8 : 3900
        return depth == 11 ? Int32(0) : 1 + Int32(abs(Int(value * 1e6)) % width)
    }
    let large = try catalogue(
        (0..<200_000).map { Array(many[$0 * 12..<($0 + 1) * 12]) }, vocabulary: 4000)
    figures["large_build_ms"] = try median(5) { _ = try CatalogueTrie(large) } / 1000
    var owner = TrieOwner(try CatalogueTrie(large))
    figures["large_bytes"] = Double(owner.trie.bytes)
    var item: Int32 = 200_000
    figures["large_enter"] = try median(501) {
        try owner.apply([.enter(item: item, path: [5, 6, 7, 1 + item % 3000, 0])])
        item += 1
    }
    figures["large_merge_ms"] = median(5) { _ = owner.trie.merged() } / 1000
    figures["sink"] = sink
    let data = try JSONSerialization.data(withJSONObject: figures, options: [.sortedKeys])
    print(String(decoding: data, as: UTF8.self))
}

try report()
