import Evaluation
import Interactions
import Testing

@Suite("Shop simulator")
struct ShopSimulatorTests {
    private func events(
        _ configuration: ShopConfiguration, _ count: Int
    ) -> [SimulatedEvent] {
        var shop = ShopSimulator(configuration)
        return (0..<count).map { _ in shop.next() }
    }

    @Test("one seed makes one world, another seed another")
    func deterministic() {
        let first = events(ShopConfiguration(seed: 5), 3_000)
        #expect(first == events(ShopConfiguration(seed: 5), 3_000))
        #expect(first != events(ShopConfiguration(seed: 6), 3_000))
        var text = ""
        for event in first { text += event.json + "\n" }
        // Changes only when the shop is changed on purpose: logs are named by seed in reports.
        #expect(SHA256.digest(Array(text.utf8)) == Self.golden)
    }

    private static let golden = "71ee92b88ce361080722d49d9461f17468e1b082ee7784b3c02bb7a48ad17e14"

    @Test(
        "time never runs backwards, items exist and are available, both kinds come",
        arguments: [1, 2, 3])
    func consistent(seed: UInt64) {
        let configuration = ShopConfiguration(
            seed: seed, users: 300, items: 200, eventsPerDay: 3_000, newItemsPerDay: 40,
            withdrawalsPerDay: 40)
        var shop = ShopSimulator(configuration)
        var available = Set(shop.catalogue.map(\.id))
        #expect(available.count == 200)
        var last: Milliseconds = configuration.startTime
        var types: [ShopEventType: Int] = [:]
        var (arrived, left) = (0, 0)
        for _ in 0..<20_000 {
            let event = shop.next()
            #expect(event.time >= last)
            last = event.time
            switch event.kind {
            case .item(let record):
                if record.available {
                    available.insert(record.id)
                    arrived += 1
                } else {
                    #expect(available.remove(record.id) != nil)
                    left += 1
                }
            case .interaction(_, let item, let type, let value):
                #expect(available.contains(item))
                #expect((value != nil) == (type == .purchase))
                types[type, default: 0] += 1
            }
        }
        #expect(arrived > 50 && left > 50)
        #expect((types[.view] ?? 0) > (types[.cart] ?? 0))
        #expect((types[.cart] ?? 0) > (types[.purchase] ?? 0))
        #expect((types[.purchase] ?? 0) > 100)
    }

    @Test("events come at about the configured rate")
    func rate() throws {
        let configuration = ShopConfiguration(seed: 9, eventsPerDay: 4_000, newItemsPerDay: 0)
        let all = events(configuration, 40_000)
        let last = try #require(all.last)
        let days = Double(last.time - configuration.startTime) / 86_400_000
        #expect((7...14).contains(days), "\(days) days")
    }

    @Test("tastes drift: the top sellers of one fortnight are not those of a later one")
    func drift() {
        let all = events(ShopConfiguration(seed: 4, items: 400, eventsPerDay: 1_000), 60_000)
        func top(_ range: Range<Int>) -> Set<ItemID> {
            var counts: [ItemID: Int] = [:]
            for event in all[range] {
                if case .interaction(_, let item, _, _) = event.kind {
                    counts[item, default: 0] += 1
                }
            }
            return Set(
                counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(20).map(\.key))
        }
        let shared = top(0..<14_000).intersection(top(46_000..<60_000)).count
        #expect(shared < 15)
    }

    @Test("what is out of bounds is brought into bounds")
    func bounds() {
        let configuration = ShopConfiguration(
            seed: 0, users: 0, items: 0, startTime: -5, eventsPerDay: 0, newItemsPerDay: -1,
            withdrawalsPerDay: -1, driftPerVisit: 7, trends: -1)
        #expect(configuration.users == 1)
        #expect(configuration.items == ShopConfiguration.itemsBounds.lowerBound)
        #expect(events(configuration, 200).count == 200)
    }
}
