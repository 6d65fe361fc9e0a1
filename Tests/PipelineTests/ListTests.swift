// Lists through the coordinator: scenarios, next pages, and what keeps them bounded.

import Filters
import Interactions
import Pipeline
import Ports
import Recommender
import Simulation
import Teachers
import TestKit
import Testing

/// A shop of `itemCount` items, one of whose users is `ann`.
private final class ListStage: CoordinatorStage {
    static let itemCount = 40

    init(_ change: (inout PipelineConfiguration) -> Void = { _ in }) throws {
        var random = SeededRandom(seed: 11)
        var configuration = Shop.configuration(random: &random)
        configuration.partition = { _, _ in 0 }
        configuration.decodeItem = { id, _ in
            let number = Int(id.text.dropFirst(5)) ?? 0
            return ItemRecord(
                id: id, title: "title", brand: "brand \(number % 4)", price: Double(number))
        }
        configuration.engine.history.historyMax = 100
        configuration.usersCachedMax = 100
        change(&configuration)
        super.init(configuration, items: Self.itemCount)
        begin()
        for entry in Shop.logs(partitions: 1, events: 300, &random)[0] { receive([entry.entry]) }
    }

    /// `ann` buys an item: from then on it is seen.
    func buy(_ item: ItemID) throws {
        let time = 1_800_000_000_000 + (store.partitions[0]?.nextOffset ?? 0)
        receive([
            .interaction(
                Interaction(user: try #require(UserID("ann")), item: item, type: 1, time: time))
        ])
    }

    // MARK: - Questions

    func get(
        _ change: (inout RecommendRequest) -> Void = { _ in }
    ) throws -> Result<Recommendation, PortError> {
        var request = RecommendRequest(user: try #require(UserID("ann")), count: 5)
        change(&request)
        return try list(request)
    }

    func next(_ id: ListID, count: Int? = nil) throws -> Result<Recommendation, PortError> {
        var answer: Result<Recommendation, PortError>?
        tell { $0.next(id, count: count) { answer = $0 } }
        return try #require(answer)
    }

    func number(_ name: String) -> Int { info[name].flatMap { Int($0) } ?? -1 }
}

@Suite("Lists of the coordinator")
struct CoordinatorListTests {
    @Test("pages never repeat an item, nor show one seen meanwhile, and end with the catalogue")
    func pages() throws {
        let stage = try ListStage()
        let first = try stage.get { $0.isKept = true }.get()
        let id = try #require(first.id)
        var shown = first.items.map(\.id)
        var seen: [ItemID] = []
        while true {
            let rest = try stage.get { $0.count = 100 }.get().items.map(\.id)
            // Something not shown yet is bought between two pages, and something shown.
            if let unseen = rest.last(where: { !shown.contains($0) }), shown.count < 25 {
                try stage.buy(unseen)
                seen.append(unseen)
                try stage.buy(shown[shown.count - 1])
            }
            let page = try stage.next(id, count: shown.count < 15 ? nil : 7).get()
            #expect(page.id == id)
            #expect(page.items.count <= (shown.count < 15 ? 5 : 7))
            if page.items.isEmpty { break }
            shown += page.items.map(\.id)
            #expect(Set(shown).isDisjoint(with: seen))
        }
        #expect(Set(shown).count == shown.count)
        #expect(seen.count == 4)
        #expect(shown.count == ListStage.itemCount - seen.count)
        #expect(stage.number("list_pages") > 4)
    }

    @Test("a page keeps the filter and the session of its list")
    func pagesKeepTheRequest() throws {
        let stage = try ListStage()
        let filter = try Filter("brand = 'brand 1' AND price > 6")
        let session = try #require(ItemID("item-9"))
        let first = try stage.get {
            $0.isKept = true
            $0.filter = filter
            $0.session = [session]
        }.get()
        let second = try stage.next(try #require(first.id)).get()
        let numbers = (first.items + second.items).compactMap { Int($0.id.text.dropFirst(5)) }
        // 13, 17, ... 37: seven items without the one of the session.
        #expect(Set(numbers) == Set(stride(from: 13, to: 40, by: 4)))
    }

    @Test("a list that nobody uses expires, and the error names the way out")
    func expiry() throws {
        let stage = try ListStage { $0.listTimeToLive = 10_000 }
        let used = try #require(try stage.get { $0.isKept = true }.get().id)
        let unused = try #require(try stage.get { $0.isKept = true }.get().id)
        #expect(used != unused)
        stage.pass(6_000)
        _ = try stage.next(used, count: 1).get()
        stage.pass(6_000)
        _ = try stage.next(used, count: 1).get()
        #expect(throws: PortError.self) { try stage.next(unused).get() }
        stage.pass(10_000)
        #expect {
            try stage.next(used).get()
        } throws: {
            ($0 as? PortError)?.reason.hasSuffix("begin anew with REC.GET ... ASOF") == true
        }
        #expect(stage.number("lists_expired") == 2 && stage.number("lists_kept_bytes") == 0)
        #expect(throws: PortError.self) { try stage.next(ListID(epoch: 0, number: 1)).get() }
    }

    @Test("memory of kept lists is bounded: the longest unused goes first")
    func bounded() throws {
        let stage = try ListStage { $0.listsBytesMax = 200_000 }
        let first = try #require(try stage.get { $0.isKept = true }.get().id)
        let second = try #require(try stage.get { $0.isKept = true }.get().id)
        for _ in 0..<400 {
            _ = try stage.get { $0.isKept = true }
            stage.pass(1)
            _ = try stage.next(first, count: 1).get()
        }
        #expect(stage.number("lists_kept_bytes") <= 200_000)
        #expect(stage.number("lists_dropped") > 150)
        #expect(throws: PortError.self) { try stage.next(second).get() }
        // A list of which no next page can be asked for takes no memory.
        let before = stage.number("lists_kept_bytes")
        #expect(try stage.get().get().id == nil)
        #expect(stage.number("lists_kept_bytes") == before)
    }

    @Test("scenarios apply by name, by default, to feeds, and change while serving")
    func scenarios() throws {
        let cheap = Scenario(filters: [try Filter("price < 5")], count: 3)
        let two = Scenario(filters: [try Filter("brand = 'brand 2'")])
        let stage = try ListStage {
            $0.scenarios = ["cheap": cheap, "default": two]
            $0.feedScenario = "cheap"
        }
        func items(_ scenario: String?, _ count: Int? = nil) throws -> [Int] {
            try stage.get {
                $0.scenario = scenario
                $0.count = count ?? 20
                $0.countIsGiven = count != nil
            }.get().items.compactMap { Int($0.id.text.dropFirst(5)) }
        }
        #expect(try items("cheap").count == 3)
        #expect(Set(try items("cheap", 20)) == [0, 1, 2, 3, 4])
        #expect(try items(nil).allSatisfy { $0 % 4 == 2 })
        #expect {
            try items("dear")
        } throws: {
            ($0 as? PortError)?.reason == "there is no scenario 'dear'; there are cheap, default"
        }
        let ann = try #require(UserID("ann"))
        var entries: [FeedEntry] = []
        let start = FeedCursor(user: ann, after: FeedID(epoch: 0, sequence: 0))
        stage.tell { $0.readFeeds([start], count: 1) { entries = (try? $0.get()) ?? [] } }
        #expect(Set(entries.flatMap { $0.recommendation.items.map(\.id.text) }).count == 5)

        let version = stage.coordinator.version(of: ann)
        stage.tell { $0.setScenarios(["cheap": two]) }
        #expect(stage.coordinator.version(of: ann) != version)
        #expect(try items("cheap").allSatisfy { $0 % 4 == 2 })
        #expect(try items(nil).count == 20)
    }

    @Test("what is explored is the same until the user does something, and is counted")
    func exploration() throws {
        let stage = try ListStage { $0.scenarios = ["default": Scenario(exploration: 0.5)] }
        let list = try stage.get { $0.count = 10 }.get()
        #expect(list.items.allSatisfy { $0.propensity > 0 && $0.propensity < 1 })
        #expect(try stage.get { $0.count = 10 }.get().items == list.items)
        let other = try ListStage { $0.scenarios = ["default": Scenario(exploration: 0.5)] }
        #expect(try other.get { $0.count = 10 }.get().items == list.items)
        var differing = 0
        for number in 0..<5 {
            try stage.buy(try #require(ItemID("item-\(number)")))
            let now = try stage.get { $0.count = 10 }.get()
            if now.items.map(\.id) != list.items.map(\.id) {
                differing += 1
            }
        }
        #expect(differing > 0)
        #expect(stage.number("lists_exploring") == 7 && stage.number("items_explored") > 0)
    }

    @Test("a session is the history of who has none, and its items are not shown again")
    func sessions() throws {
        let stage = try ListStage()
        let stranger = try #require(UserID("stranger"))
        let cold = try stage.get { $0.user = stranger }.get()
        #expect(cold.items.count == 5 && cold.items.allSatisfy { $0.source == "popularity" })
        let session = try #require(cold.items.first).id
        let warm = try stage.get {
            $0.user = stranger
            $0.session = [session]
        }.get()
        let coldScores = Dictionary(uniqueKeysWithValues: cold.items.map { ($0.id, $0.score) })
        #expect(warm.items.contains { $0.score > coldScores[$0.id] ?? .infinity })
        #expect(!warm.items.contains { $0.id == session })
        // Nothing of the session stays.
        #expect(try stage.get { $0.user = stranger }.get().items == cold.items)
    }

    @Test("similar items obey filters, and an item nobody knows is refused")
    func similar() throws {
        let stage = try ListStage()
        func similar(_ item: String, _ filter: String? = nil) throws -> [RecommendedItem] {
            var request = SimilarRequest(item: try #require(ItemID(item)), count: 10)
            request.filter = try filter.map { try Filter($0) }
            var answer: Result<[RecommendedItem], PortError>?
            stage.tell { $0.similar(request) { answer = $0 } }
            return try #require(answer).get()
        }
        #expect(try similar("item-3").contains { $0.source == "rules" })
        // Only the first 25 items are in the log: this one has nothing but its brand.
        let unmet = try similar("item-38")
        #expect(unmet.count == 9 && unmet.allSatisfy { $0.source == "attributes" })
        #expect(try similar("item-38", "price > 20").count == 4)
        #expect(throws: PortError.self) { try similar("nothing") }
    }
}
