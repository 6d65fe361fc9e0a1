// What an item says about those who choose it: categories, brand, price band, a few words of its title.

import Interactions

/// The traits of one item, ready to be counted: names as bytes in one array, no text made.
public struct ItemTraits: Sendable, Hashable {
    /// With sums of zero.
    private(set) var all: [Trait] = []
    private(set) var names: [UInt8] = []

    private static let categoriesMax = 4
    private static let wordsMax = 3

    public init(title: String, brand: String?, categories: [String], price: Double?) {
        all.reserveCapacity(categories.count + 5)
        names.reserveCapacity(96)
        for category in categories.prefix(Self.categoriesMax) { add(.category, category) }
        if let brand { add(.brand, brand) }
        if let price, let band = PriceBand.name(of: price) { add(.price, band) }
        title.withBytes { addWords(of: $0) }
    }

    private mutating func add(_ kind: Trait.Kind, _ text: String) {
        let start = names.count
        text.withBytes { bytes in
            var isPlain = bytes.count <= Trait.nameBytesMax
            for index in bytes.indices where isPlain {
                isPlain = (0x20...0x7E).contains(bytes[index])
            }
            if isPlain {
                for index in bytes.indices { names.append(bytes[index]) }
            } else {
                names.append(contentsOf: OneLine.of(text, bytesMax: Trait.nameBytesMax).utf8)
            }
        }
        close(kind, from: start)
    }

    /// The bytes from `start` on are a trait's name, if they are new.
    private mutating func close(_ kind: Trait.Kind, from start: Int) {
        let count = names.count - start
        let key = xxh64(names.span.extracting(start...), seed: UInt64(kind.rawValue))
        guard count > 0, !all.contains(where: { $0.key == key }) else {
            names.removeLast(count)
            return
        }
        all.append(
            Trait(
                key: key, kind: kind, nameStart: Int32(start), nameCount: Int32(count), sums: .zero)
        )
    }

    /// Words that may tell a taste: at least four bytes, a letter among them, no filler. Lower case for ASCII.
    private mutating func addWords(of title: Span<UInt8>) {
        var start = names.count
        var hasLetter = false
        var words = 0
        for index in 0...title.count where words < Self.wordsMax {
            let byte = index < title.count ? title[index] : 0
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
                hasLetter = true
                names.append(byte | 0x20)
            case 0x80...:
                hasLetter = true
                names.append(byte)
            case UInt8(ascii: "0")...UInt8(ascii: "9"): names.append(byte)
            default:
                let count = names.count - start
                if hasLetter, (4...Trait.nameBytesMax).contains(count), !endsWithFiller(count) {
                    let before = all.count
                    close(.word, from: start)
                    words += all.count - before
                } else {
                    names.removeLast(count)
                }
                start = names.count
                hasLetter = false
            }
        }
        names.removeLast(names.count - start)
    }

    private func endsWithFiller(_ count: Int) -> Bool {
        Self.fillers.contains { filler in
            filler.count == count && names.suffix(count).elementsEqual(filler)
        }
    }

    private static let fillers: [[UInt8]] = [
        "with", "from", "your", "this", "that", "pack", "inch", "inches", "into", "size", "each",
        "item", "part", "volume", "edition",
    ].map { Array($0.utf8) }
}

/// Prices by steps of a factor of two or a little more.
enum PriceBand {
    private static let bounds: [(Double, String)] = [
        (5, "under 5"), (10, "5 to 10"), (20, "10 to 20"), (50, "20 to 50"), (100, "50 to 100"),
        (200, "100 to 200"), (500, "200 to 500"), (.infinity, "over 500"),
    ]

    static func name(of price: Double) -> String? {
        guard price.isFinite, price > 0 else { return nil }
        return bounds.first { price < $0.0 }?.1
    }

    /// The eight of them take three bits.
    static let bits = 3

    static func name(_ number: Int) -> String { bounds[number].1 }

    static func number(of name: ArraySlice<UInt8>) -> Int {
        guard let number = bounds.firstIndex(where: { $0.1.utf8.elementsEqual(name) }) else {
            preconditionFailure("names of prices are made here and nowhere else")
        }
        return number
    }
}
