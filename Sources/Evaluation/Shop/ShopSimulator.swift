// A shop with drifting tastes, one event at a time, forever: something to stream when there is no log at hand.
//
// It is built to have what real logs have and recommenders must follow: people with a few interests that change,
// items that lead to other items, fashions that come and go, new items that draw attention, items that are
// withdrawn, hours of the day, and a few very active users. Equal configurations give equal events on every
// machine.

public import Interactions

public struct ShopSimulator: Sendable {
    public let configuration: ShopConfiguration
    /// The items the shop opened with.
    public let catalogue: [ItemRecord]

    private var random: SeededRandom
    private var shelf = ShopShelf()
    private var visitors: [Int: ShopVisitor] = [:]
    private var agenda = ShopAgenda()

    /// Mean number of items looked at in a visit.
    private static let viewsPerVisit = 5.0
    private static let eventsPerVisit = viewsPerVisit * 1.35
    private static let dayMilliseconds = 86_400_000.0

    public init(_ configuration: ShopConfiguration) {
        self.configuration = configuration
        random = SeededRandom(seed: configuration.seed)
        var records: [ItemRecord] = []
        for _ in 0..<configuration.items {
            // The first items are of all ages up to two months.
            let age = Milliseconds(random.uniform() * 60 * Self.dayMilliseconds)
            let since = configuration.startTime - age
            records.append(shelf.add(at: since, random: &random).record)
        }
        catalogue = records
        let start = configuration.startTime
        for _ in 0..<configuration.trends {
            shelf.startTrend(at: start, keeping: configuration.trends, random: &random)
        }
        agenda.add(.visit, at: start)
        agenda.add(.trend, at: start + wait(mean: 1))
        if configuration.newItemsPerDay > 0 {
            agenda.add(.arrival, at: start + wait(mean: 1 / configuration.newItemsPerDay))
        }
        if configuration.withdrawalsPerDay > 0 {
            agenda.add(.withdrawal, at: start + wait(mean: 1 / configuration.withdrawalsPerDay))
        }
    }

    /// What happens next. Never ends.
    public mutating func next() -> SimulatedEvent {
        while true {
            guard let (time, entry) = agenda.next() else {
                preconditionFailure("a shop always expects a visit")
            }
            if let event = run(entry, at: time) { return event }
        }
    }

    private mutating func run(_ entry: ShopAgenda.Entry, at time: Milliseconds)
        -> SimulatedEvent?
    {
        switch entry {
        case .visit:
            agenda.add(.visit, at: time + waitForVisit(at: time))
            begin(visitOf: pickUser(), at: time)
            return nil
        case .trend:
            agenda.add(.trend, at: time + wait(mean: 1))
            shelf.startTrend(at: time, keeping: configuration.trends, random: &random)
            return nil
        case .arrival:
            agenda.add(.arrival, at: time + wait(mean: 1 / configuration.newItemsPerDay))
            return SimulatedEvent(
                time: time, kind: .item(shelf.add(at: time, random: &random).record))
        case .withdrawal:
            agenda.add(.withdrawal, at: time + wait(mean: 1 / configuration.withdrawalsPerDay))
            return shelf.withdraw(random: &random).map {
                SimulatedEvent(time: time, kind: .item($0))
            }
        case .view(let step): return view(step, at: time)
        case .follow(let user, let item, let type):
            guard shelf.isAvailable(item) else { return nil }
            let price = shelf.items[item].record.price
            if type == .cart, random.chance(0.45) {
                agenda.add(.follow(user, item, .purchase), at: time + seconds(mean: 90))
            }
            return interaction(user, item, type, value: type == .purchase ? price : nil, at: time)
        }
    }

    // MARK: - Visits

    private mutating func begin(visitOf user: Int, at time: Milliseconds) {
        var visitor = visitors[user] ?? ShopVisitor(&random)
        if random.chance(configuration.driftPerVisit) { visitor.drift(&random) }
        visitors[user] = visitor
        let views = 1 + Int(random.exponential(mean: Self.viewsPerVisit - 0.5))
        let step = ShopAgenda.Step(
            user: user, category: visitor.interest(&random), previous: visitor.lastItem,
            viewsLeft: min(views, 60))
        agenda.add(.view(step), at: time)
    }

    private mutating func view(_ step: ShopAgenda.Step, at time: Milliseconds) -> SimulatedEvent? {
        guard let item = choose(step, at: time) else { return nil }
        visitors[step.user]?.lastItem = item
        if step.viewsLeft > 1 {
            var next = step
            next.previous = item
            next.viewsLeft -= 1
            agenda.add(.view(next), at: time + seconds(mean: 40))
        }
        if random.chance(0.22) {
            agenda.add(.follow(step.user, item, .cart), at: time + seconds(mean: 20))
        }
        return interaction(step.user, item, .view, value: nil, at: time)
    }

    /// From the last item to one that goes with it, to what is in fashion, or along the shelf.
    private mutating func choose(_ step: ShopAgenda.Step, at time: Milliseconds) -> Int? {
        let way = random.uniform()
        if way < 0.45, let previous = step.previous {
            let companions = shelf.items[previous].companions.filter { shelf.isAvailable($0) }
            if !companions.isEmpty { return random.pick(companions) }
        }
        if way > 0.88, let item = shelf.trendy(at: time, random: &random) { return item }
        let purse = visitors[step.user]?.purse ?? 0.5
        return shelf.browse(step.category, purse: purse, at: time, random: &random)
    }

    private func interaction(
        _ user: Int, _ item: Int, _ type: ShopEventType, value: Double?, at time: Milliseconds
    ) -> SimulatedEvent? {
        guard let id = UserID("u\(user + 1)") else { return nil }
        return SimulatedEvent(
            time: time,
            kind: .interaction(
                user: id, item: shelf.items[item].record.id, type: type, value: value))
    }

    /// A few users come often: the square of a uniform number puts half of the visits on a quarter of the users.
    private mutating func pickUser() -> Int {
        let share = random.uniform()
        return min(Int(share * share * Double(configuration.users)), configuration.users - 1)
    }

    // MARK: - Time

    private mutating func wait(mean days: Double) -> Milliseconds {
        1 + Milliseconds(min(random.exponential(mean: days), 10_000) * Self.dayMilliseconds)
    }

    private mutating func seconds(mean: Double) -> Milliseconds {
        1_000 + Milliseconds(random.exponential(mean: mean - 1) * 1_000)
    }

    /// Visits come most densely at 20 h and hardly at 4 h.
    private mutating func waitForVisit(at time: Milliseconds) -> Milliseconds {
        let hour = Double(time % 86_400_000) / 3_600_000
        let distance = min((hour - 20).magnitude, 24 - (hour - 20).magnitude)
        let density = 0.3 + 1.4 * (1 - distance / 12)
        return wait(mean: Self.eventsPerVisit / configuration.eventsPerDay / density)
    }
}
