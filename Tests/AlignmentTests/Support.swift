import Foundation
import TestKit
import TokenTrie

/// A small catalogue as plain paths, and scores of a teacher.
struct Shelf {
    static let vocabulary = 10
    static let endToken: Int32 = 0

    var paths: [[Int32]]
    var scores: [Float]

    /// Items that share prefixes, two of them with one text; scores of the given spread.
    static func random(_ count: Int, spread: Float, _ random: inout SeededRandom) -> Shelf {
        var paths = (0..<count).map { _ in
            let wide = random.chance(0.4)
            let length = random.below(5)
            return (0..<length).map { _ in Int32(1 + random.below(wide ? 9 : 2)) } + [endToken]
        }
        if count > 3 { paths[3] = paths[1] }
        let scores = (0..<count).map { _ in Float.random(in: -spread...spread, using: &random) }
        return Shelf(paths: paths, scores: scores)
    }

    var trie: CatalogueTrie {
        get throws {
            var all = ItemPaths(vocabulary: Self.vocabulary, endToken: Self.endToken)
            for (item, path) in paths.enumerated() { try all.append(item: Int32(item), path: path) }
            return try CatalogueTrie(all)
        }
    }

    /// The algorithm as the paper's release carries it out, with nothing shared between prefixes: collect the items
    /// that begin with the prefix, softmax over those alone, add up by next token over the whole vocabulary.
    func published(gold: Int, temperature: Double) -> [[Double]] {
        paths[gold].indices.map { depth in
            let prefix = paths[gold][..<depth]
            let below = paths.indices.filter {
                paths[$0].count > depth && paths[$0].starts(with: prefix)
            }
            let greatest = below.map { Double(scores[$0]) }.max() ?? 0
            let weights = below.map { exp((Double(scores[$0]) - greatest) / temperature) }
            let sum = weights.reduce(0, +)
            var row = [Double](repeating: 0, count: Self.vocabulary)
            for (item, weight) in zip(below, weights) {
                row[Int(paths[item][depth])] += weight / sum
            }
            return row
        }
    }

    /// Share of each item under one softmax over all.
    func shares(temperature: Double) -> [Double] {
        let greatest = scores.map(Double.init).max() ?? 0
        let weights = scores.map { exp((Double($0) - greatest) / temperature) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }
}

func near(_ left: Double, _ right: Double, _ tolerance: Double = 1e-12) -> Bool {
    left == right || abs(left - right) <= tolerance * max(1, abs(left), abs(right))
}

/// As `near`, but relative to what is compared, however small, down to the least share that is kept.
func nearRelative(_ left: Double, _ right: Double, _ tolerance: Double = 1e-10) -> Bool {
    abs(left - right) <= tolerance * max(abs(left), abs(right)) || max(left, right) < 1e-100
}
