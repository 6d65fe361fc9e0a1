// What an item says about those who choose it: categories, brand, price band, a few words of its title.

import Interactions

/// The traits of one item, ready to be counted.
public struct ItemTraits: Sendable, Hashable {
    struct Name: Sendable, Hashable {
        var key: UInt64
        var kind: Trait.Kind
        var name: String

        init(_ kind: Trait.Kind, _ name: String) {
            self.kind = kind
            self.name = name
            key = Trait.key(kind, name)
        }
    }

    let all: [Name]

    private static let categoriesMax = 4
    private static let wordsMax = 3

    public init(title: String, brand: String?, categories: [String], price: Double?) {
        var found: [Name] = []
        func add(_ kind: Trait.Kind, _ text: String) {
            let name = OneLine.of(text, bytesMax: Trait.nameBytesMax)
            guard !name.isEmpty else { return }
            let trait = Name(kind, name)
            if !found.contains(where: { $0.key == trait.key }) { found.append(trait) }
        }
        for category in categories.prefix(Self.categoriesMax) { add(.category, category) }
        if let brand { add(.brand, brand) }
        if let price, let band = PriceBand.name(of: price) { add(.price, band) }
        for word in TitleWords.of(title, atMost: Self.wordsMax) { add(.word, word) }
        all = found
    }
}

/// Prices by steps of a factor of two or a little more.
enum PriceBand {
    private static let bounds = [5, 10, 20, 50, 100, 200, 500]

    static func name(of price: Double) -> String? {
        guard price.isFinite, price > 0 else { return nil }
        guard let above = bounds.firstIndex(where: { price < Double($0) }) else {
            return "over 500"
        }
        return above == 0 ? "under 5" : "\(bounds[above - 1]) to \(bounds[above])"
    }
}

/// Words of titles that may tell a taste: at least four bytes, no filler, no number.
enum TitleWords {
    /// Lower case for ASCII letters; other letters as they are.
    static func of(_ title: String, atMost limit: Int) -> [String] {
        var words: [String] = []
        var word: [UInt8] = []
        var hasLetter = false
        func close() {
            defer {
                word.removeAll(keepingCapacity: true)
                hasLetter = false
            }
            guard hasLetter, (4...Trait.nameBytesMax).contains(word.count) else { return }
            let text = String(decoding: word, as: UTF8.self)
            if !fillers.contains(text), !words.contains(text) { words.append(text) }
        }
        for byte in title.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                hasLetter = true
                word.append(byte | 0x20)
            case UInt8(ascii: "a")...UInt8(ascii: "z"), 0x80...:
                hasLetter = true
                word.append(byte)
            case UInt8(ascii: "0")...UInt8(ascii: "9"): word.append(byte)
            default:
                close()
                if words.count >= limit { return Array(words.prefix(limit)) }
            }
        }
        close()
        return Array(words.prefix(limit))
    }

    private static let fillers: Set<String> = [
        "with", "from", "your", "this", "that", "pack", "inch", "inches", "count", "black", "white",
        "into", "size", "each", "item", "part", "volume", "edition",
    ]
}
