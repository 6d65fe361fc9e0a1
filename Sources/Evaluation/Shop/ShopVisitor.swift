// One customer of a simulated shop: a few interests, a purse, and what was looked at last.

struct ShopVisitor: Sendable {
    /// Category and weight; the first is the strongest.
    private var interests: [(category: Int, weight: Double)] = []
    /// 0 buys cheap ... 1 buys dear.
    private(set) var purse: Double
    var lastItem: Int?

    private static let weights = [0.6, 0.25, 0.15]

    init(_ random: inout SeededRandom) {
        purse = random.uniform()
        for weight in Self.weights {
            interests.append((random.below(ShopVocabulary.categories.count), weight))
        }
    }

    func interest(_ random: inout SeededRandom) -> Int {
        if random.chance(0.06) { return random.below(ShopVocabulary.categories.count) }
        return interests[random.weighted(interests.map(\.weight))].category
    }

    /// Something new becomes the main interest, the weakest is lost.
    mutating func drift(_ random: inout SeededRandom) {
        let new = random.below(ShopVocabulary.categories.count)
        let kept = interests.map(\.category).filter { $0 != new }.prefix(Self.weights.count - 1)
        interests = zip([new] + kept, Self.weights).map { ($0, $1) }
        purse = (purse + 0.2 * random.bell()).clamped(to: 0...1)
    }
}
