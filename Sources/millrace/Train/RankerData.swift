// What a ranker is trained and judged on: users as they were before an event, what they chose then, and items they did
// not choose (LLM-TRSR: one drawn for training, twenty for judging).

import Evaluation
import Interactions
import Summaries
import Tensors

struct RankerData {
    /// One choice. Summary and recent items know nothing of it or of what came later.
    struct Case {
        var user: Int32
        var summary: String?
        /// The newest last.
        var recent: [Int32]
        var target: Int32
        /// Items drawn uniformly from the catalogue, the target not among them.
        var others: [Int32]
    }

    struct Options {
        /// Items of the history that are shown one by one.
        var recentCount = 5
        var summarises = true
        var trainCount = 10_000
        var judgedCount = 1_000
        var seed: UInt64 = 1
        /// Shortest history that a case has.
        var historyMin = 5
        /// Shares of the log, its end, that choose the epoch and that are reported on.
        var validationShare = 0.1
        var testShare = 0.1
    }

    static let othersInTraining = 1
    static let othersJudged = 20

    private(set) var items: [SummaryItem] = []
    private(set) var train: [Case] = []
    private(set) var validation: [Case] = []
    private(set) var test: [Case] = []
    /// Events of each item before validation begins: the simplest ranking there is.
    private(set) var counts: [Int] = []
    private var traits: [ItemTraits] = []
    private var numbers: [ItemID: Int32] = [:]
    private let options: Options
    /// A log of positive events in their order.
    init(log folder: String, _ options: Options) throws {
        self.options = options
        let log = try LoadedLog(folder: folder, seen: .always)
        var events: [Interaction] = []
        for change in log.changes {
            switch change {
            case .item(let record): add(record)
            case .interaction(let event):
                if log.types.weight(of: event.type) > 0 { events.append(event) }
            }
        }
        let end = events.count - Int(Double(events.count) * options.testShare)
        let border = end - Int(Double(events.count) * options.validationShare)
        var users: [UserID: Taste] = [:]
        var userNumbers: [UserID: Int32] = [:]
        for (index, event) in events.enumerated() {
            guard let item = numbers[event.item] else { continue }
            var taste = users.removeValue(forKey: event.user) ?? Taste()
            if taste.history.count >= options.historyMin, !taste.history.contains(item) {
                let user = userNumbers[event.user] ?? Int32(userNumbers.count)
                userNumbers[event.user] = user
                let one = makeCase(taste, user: user, target: item)
                if index < border {
                    train.append(one)
                } else if index < end {
                    validation.append(one)
                } else {
                    test.append(one)
                }
            }
            if index < border { counts[Int(item)] += 1 }
            note(item, in: &taste)
            users[event.user] = taste
        }
        finish()
    }

    /// The fixed split released with TCA4Rec; every row is a user.
    init(office folder: String, _ options: Options) throws {
        self.options = options
        let split = try OfficeSplit(folder: folder, test: "test_5000.csv")
        let selection = try OfficeSplit(folder: folder, test: "valid_5000.csv")
        for record in split.items { add(record) }
        for row in split.train {
            if let item = numbers[row.target.item] { counts[Int(item)] += 1 }
        }
        train = split.trainByTime.enumerated().compactMap { one(of: $1, user: $0) }
        validation = selection.test.enumerated().compactMap { one(of: $1, user: $0) }
        test = split.test.enumerated().compactMap { one(of: $1, user: $0) }
        finish()
    }

    private mutating func add(_ record: ItemRecord) {
        guard numbers[record.id] == nil else { return }
        numbers[record.id] = Int32(items.count)
        items.append(
            SummaryItem(
                title: record.title, brand: record.brand, categories: record.categories,
                price: record.price, event: "chosen"))
        traits.append(ItemTraits(record))
        counts.append(0)
    }

    private func one(of row: SequenceRow, user: Int) -> Case? {
        guard let target = numbers[row.target.item] else { return nil }
        var taste = Taste()
        for event in row.history {
            if let item = numbers[event.item] { note(item, in: &taste) }
        }
        return makeCase(taste, user: Int32(user), target: target)
    }

    // MARK: - Taste

    /// A user while the log goes by.
    private struct Taste {
        var history: [Int32] = []
        var summary = SummaryTrail(blocksAtOnce: 1)
    }

    private func note(_ item: Int32, in taste: inout Taste) {
        taste.history.append(item)
        if options.summarises { taste.summary.note(traits[Int(item)], weight: 1) }
    }

    private func makeCase(_ taste: Taste, user: Int32, target: Int32) -> Case {
        let text = taste.summary.text
        return Case(
            user: user, summary: text.isEmpty ? nil : text,
            recent: taste.history.suffix(options.recentCount), target: target, others: [])
    }

    // MARK: - Samples

    private mutating func finish() {
        train = draw(Array(train.suffix(options.trainCount)), Self.othersInTraining, stream: 1)
        validation = draw(thin(validation), Self.othersJudged, stream: 2)
        test = draw(thin(test), Self.othersJudged, stream: 3)
    }

    /// Evenly over all of them.
    private func thin(_ cases: [Case]) -> [Case] {
        guard cases.count > options.judgedCount else { return cases }
        return (0..<options.judgedCount).map { cases[$0 * cases.count / options.judgedCount] }
    }

    private func draw(_ cases: [Case], _ count: Int, stream: UInt64) -> [Case] {
        guard items.count > count else { return [] }
        return cases.enumerated().map { index, one in
            let random = CounterRandom(
                seed: options.seed, stream: UInt64(index) << 8 | stream)
            var one = one
            var draws = 0
            while one.others.count < count {
                let item = Int32(random.bits(draws) % UInt64(items.count))
                draws += 1
                if item != one.target, !one.others.contains(item) { one.others.append(item) }
            }
            return one
        }
    }

    // MARK: - As requests

    func request(_ one: Case, candidate: Int32) -> RankingRequest {
        RankingRequest(
            summary: one.summary, recent: one.recent.map { items[Int($0)] },
            candidate: items[Int(candidate)])
    }
}
