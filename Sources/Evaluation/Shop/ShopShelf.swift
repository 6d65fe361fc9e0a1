// The goods of a simulated shop: what they are, what goes with what, and what is in fashion.

import Interactions

struct ShopItem: Sendable {
    var record: ItemRecord
    var category: Int
    /// 0 cheap ... 1 dear, within its category.
    var tier: Double
    /// How good it is, as a factor of its chance to be looked at.
    var appeal: Double
    var since: Milliseconds
    /// Items that people look at after this one.
    var companions: [Int] = []
}

struct ShopShelf: Sendable {
    private(set) var items: [ShopItem] = []
    /// Numbers of available items, by category.
    private(set) var shelves: [[Int]]
    /// In fashion: item and since when.
    private(set) var trends: [(item: Int, since: Milliseconds)] = []

    /// A new item's attraction fades with this scale.
    private static let noveltyDays = 6.0
    private static let trendDays = 3.0
    private static let companionCount = 3
    /// A shelf this small is not thinned out any more.
    private static let shelfMin = 4

    init() { shelves = ShopVocabulary.categories.map { _ in [] } }

    /// Makes an item and puts it on its shelf.
    mutating func add(at time: Milliseconds, random: inout SeededRandom) -> ShopItem {
        let category = random.below(ShopVocabulary.categories.count)
        let words = ShopVocabulary.categories[category]
        // Brands keep to a few categories each.
        let brand = ShopVocabulary.brand(
            (category * 7 + random.below(14)) % ShopVocabulary.brandCountMax)
        let tier = random.uniform()
        let title =
            "\(brand) \(random.pick(ShopVocabulary.adjectives)) \(random.pick(words.nouns)), "
            + random.pick(ShopVocabulary.variants)
        let price = (words.price * Numbers.exp(1.6 * (tier - 0.5)) * 100).rounded() / 100
        let number = items.count
        guard let id = ItemID("i\(number + 1)") else { preconditionFailure("a short identifier") }
        var item = ShopItem(
            record: ItemRecord(
                id: id, title: title, brand: brand, categories: [words.name], price: price),
            category: category, tier: tier, appeal: Numbers.exp(1.1 * random.bell()), since: time)
        for step in 0..<Self.companionCount {
            // Mostly of the same shelf; the last may be of the next one.
            let shelf = shelves[step == 2 ? (category + 1) % shelves.count : category]
            if !shelf.isEmpty { item.companions.append(random.pick(shelf)) }
        }
        for companion in item.companions
        where items[companion].companions.count < 2 * Self.companionCount {
            items[companion].companions.append(number)
        }
        items.append(item)
        shelves[category].append(number)
        return item
    }

    /// Takes an item off its shelf; nil when its shelf is nearly empty.
    mutating func withdraw(random: inout SeededRandom) -> ItemRecord? {
        let category = random.below(shelves.count)
        guard shelves[category].count > Self.shelfMin else { return nil }
        // Items leave in about the order they came.
        let index = random.below((shelves[category].count + 1) / 2)
        let number = shelves[category].remove(at: index)
        items[number].record.available = false
        trends.removeAll { $0.item == number }
        return items[number].record
    }

    /// Something else comes into fashion, preferably something new.
    mutating func startTrend(at time: Milliseconds, keeping count: Int, random: inout SeededRandom)
    {
        guard count > 0 else { return }
        let shelf = shelves[random.below(shelves.count)]
        guard !shelf.isEmpty else { return }
        let newest = shelf.suffix(max(1, shelf.count / 4))
        if trends.count >= count { trends.removeFirst() }
        trends.append((item: newest[newest.startIndex + random.below(newest.count)], since: time))
    }

    /// An item in fashion, or nil when fashion has faded.
    func trendy(at time: Milliseconds, random: inout SeededRandom) -> Int? {
        guard !trends.isEmpty else { return nil }
        let trend = trends[random.below(trends.count)]
        let age = Double(time - trend.since) / 86_400_000
        return random.chance(Numbers.exp(-age / Self.trendDays)) ? trend.item : nil
    }

    /// An item of a shelf that suits a purse: a few are looked at, the most attractive one is taken.
    func browse(
        _ category: Int, purse: Double, at time: Milliseconds, random: inout SeededRandom
    ) -> Int? {
        let shelf = shelves[category]
        guard !shelf.isEmpty else { return nil }
        let seen = (0..<8).map { _ in random.pick(shelf) }
        let weights = seen.map { number in
            let item = items[number]
            let age = Double(max(0, time - item.since)) / 86_400_000
            let fit = Numbers.exp(-3 * (item.tier - purse).magnitude)
            return item.appeal * fit * (1 + 4 * Numbers.exp(-age / Self.noveltyDays))
        }
        return seen[random.weighted(weights)]
    }

    func isAvailable(_ number: Int) -> Bool { items[number].record.available }
}
