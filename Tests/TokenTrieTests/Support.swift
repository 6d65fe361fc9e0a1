import TestKit
import TokenTrie

/// Plain lists of paths: the slow twin of every question to a trie.
struct PathList {
    var paths: [Int32: [Int32]] = [:]

    static let vocabulary = 9
    static let endToken: Int32 = 0

    /// Items that share prefixes, some with equal paths, some a prefix of another but for the end token.
    static func random(_ count: Int, _ random: inout SeededRandom) -> PathList {
        var list = PathList()
        for item in 0..<count { list.paths[Int32(item)] = path(&random) }
        return list
    }

    static func path(_ random: inout SeededRandom) -> [Int32] {
        let wide = random.chance(0.5)
        let length = random.below(6)
        return (0..<length).map { _ in Int32(1 + random.below(wide ? 8 : 2)) } + [endToken]
    }

    var trie: CatalogueTrie {
        get throws {
            var paths = ItemPaths(vocabulary: Self.vocabulary, endToken: Self.endToken)
            for (item, path) in self.paths { try paths.append(item: item, path: path) }
            return try CatalogueTrie(paths)
        }
    }

    func items(below prefix: [Int32]) -> [Int32] {
        paths.filter { $0.value.starts(with: prefix) }.map(\.key).sorted()
    }

    func next(after prefix: [Int32]) -> [Int32] {
        let longer = paths.values.filter { $0.count > prefix.count && $0.starts(with: prefix) }
        return Set(longer.map { $0[prefix.count] }).sorted()
    }

    /// All prefixes of present paths, the empty one among them.
    var prefixes: Set<[Int32]> {
        var all: Set<[Int32]> = [[]]
        for path in paths.values {
            for length in 0...path.count { all.insert(Array(path[..<length])) }
        }
        return all
    }
}

extension CatalogueTrie {
    func node(_ prefix: [Int32]) -> TrieNode? {
        var node: TrieNode? = root
        for token in prefix { node = node.flatMap { child($0, token) } }
        return node
    }
}
