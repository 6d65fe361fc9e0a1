// Sizing is arithmetic: it grows with the load, its totals are its parts, and an example comes out as by hand.

import Interactions
import Teachers
import Testing

@testable import Settings

@Suite("sizing")
struct SizingTests {
    /// A load as plain numbers, so that one can be changed at a time.
    struct Numbers: Sendable {
        var users = 1_000.0
        var items = 100.0
        var events = 10_000.0
        var lists = 0.0
        var feeds = 0.0
        var history = 10.0

        func load(_ mode: SizingLoad.Mode = .auto) throws -> SizingLoad {
            try SizingLoad(
                users: users, items: items, eventsPerSecond: events, listsPerSecond: lists,
                mode: mode, feeds: feeds, history: history)
        }

        func plan(
            _ settings: MillraceSettings = MillraceSettings(), mode: SizingLoad.Mode = .auto
        ) throws -> Sizing { Sizing(try load(mode), settings) }
    }

    static let loads = [
        Numbers(),
        Numbers(users: 1e6, items: 1e5, events: 1_000, lists: 500, feeds: 1e4, history: 50),
        Numbers(users: 1e8, items: 1e6, events: 4e4, lists: 5e3, feeds: 1e5, history: 60),
        Numbers(users: 3, items: 2, events: 0, lists: 0.01, feeds: 1, history: 0),
    ]

    @Test("an example comes out as by hand")
    func example() throws {
        let plan = try Numbers().plan()
        #expect(plan.groups == 1 && plan.instances == 1 && plan.partitions == 4)
        #expect(plan.coresPerInstance == 2 && plan.cachedShare == 1)
        // 6.9 us for folding, and of 64 events one list of 136 us.
        #expect(
            plan.engineLane.parts.map(\.value).map { ($0 * 1e9).rounded() } == [
                69_000_000, 21_250_000,
            ])
        #expect(abs((plan.eventsPerSecondAlone ?? 0) - 66_482) < 1)
        // Another instance's event costs 3.5 us, and the list again.
        #expect(abs((plan.eventsPerSecondMax ?? 0) - 106_667) < 1)
        // 100 items make 10 000 pairs at most, of the 45 000 that histories of ten hold.
        #expect(plan.pairsPossible == 10_000)
        let redis: [Double] = [
            140_000.0, 80_000, 10_000, 64_000, 19_600, 2 * (100_000 + 3_000 * 8_192),
            2 * 16_777_216,
        ]
        #expect(plan.redisMemory.parts.map(\.value) == redis)
        #expect(plan.stateBytes == 230_000)
        #expect(plan.kafkaPerDay == 10_000 * 96 * 86_400)
        #expect(plan.room.first?.name.contains("Redis") == false)
        #expect(plan.warnings.isEmpty)
    }

    @Test("more of anything never needs less", arguments: loads.indices)
    func monotone(index: Int) throws {
        let base = Self.loads[index]
        let settings = MillraceSettings()
        let inputs: [WritableKeyPath<Numbers, Double>] = [
            \.users, \.items, \.events, \.lists, \.feeds, \.history,
        ]
        for input in inputs {
            var before = try base.plan(settings)
            for factor in [1.1, 2.0, 7.0, 40.0] {
                var numbers = base
                numbers[keyPath: input] = min(max(1, base[keyPath: input]) * factor, 1e8)
                if input == \.history { numbers.history = min(numbers.history, 512) }
                numbers.feeds = min(numbers.feeds, numbers.users)
                // Who does something is more seldom a watched user where there are more users.
                if input == \.users { numbers.feeds = 0 }
                let after = try numbers.plan(settings)
                #expect(after.groups >= before.groups)
                if after.groups == 1 {
                    if input != \.users { #expect(after.instances >= before.instances) }
                    if input != \.users { #expect(after.partitions >= before.partitions) }
                    #expect(after.redisMemory.total >= before.redisMemory.total)
                    #expect(after.daemonMemory.total >= before.daemonMemory.total)
                    #expect(after.redisIn.total >= before.redisIn.total)
                    #expect(after.kafkaPerDay >= before.kafkaPerDay)
                    before = after
                }
            }
        }
    }

    @Test("totals are the sums of their parts, and nothing is below zero", arguments: loads.indices)
    func sums(index: Int) throws {
        for mode in SizingLoad.Mode.allCases {
            let plan = try Self.loads[index].plan(mode: mode)
            for sum in [
                plan.engineLane, plan.processor, plan.redisThread, plan.redisMemory,
                plan.daemonMemory, plan.redisIn, plan.redisOut,
            ] {
                #expect(sum.total == sum.parts.reduce(0) { $0 + $1.value })
                #expect(sum.parts.allSatisfy { $0.value > 0 })
                #expect(Set(sum.parts.map(\.name)).count == sum.parts.count)
            }
        }
    }

    @Test("the instances keep the engine's lane within what is planned, one fewer would not")
    func fewestInstances() throws {
        for lists in [0.0, 100, 3_000, 20_000, 200_000] {
            for events in [0.0, 500, 30_000, 100_000] {
                let load = Numbers(users: 1e6, items: 1e5, events: events, lists: lists)
                let plan = try load.plan()
                guard plan.groups == 1 else { continue }
                #expect(plan.engineLane.total <= Sizing.plannedUse * 1.000_001)
                guard plan.instances > 1 else { continue }
                let whole = plan.engineLane.parts.reduce(0) { sum, part in
                    // What is shared out grows by n / (n - 1); what every instance does does not grow.
                    let count = Double(plan.instances)
                    switch part.name {
                    case "learning from all events": return sum + part.value
                    case "counting the others' events":
                        return sum + part.value / (1 - 1 / count) * (1 - 1 / (count - 1))
                    default: return sum + part.value * count / (count - 1)
                    }
                }
                #expect(whole > Sizing.plannedUse)
            }
        }
    }

    @Test("a rate that no number of instances bears parts the users, and says how to avoid it")
    func beyondTheLimit() throws {
        let below = try Numbers(users: 1e6, events: 105_000).plan()
        #expect(below.groups == 1 && below.instances > 10)
        let beyond = try Numbers(users: 9e5, events: 130_000).plan()
        #expect(beyond.groups == 3 && beyond.load.users == 300_000)
        #expect(beyond.engineLane.total <= Sizing.plannedUse)
        #expect(beyond.warnings.contains { $0.contains("3 groups") })
        #expect(beyond.warnings.contains { $0.contains("mixture.learn-interval") })
        var settings = MillraceSettings()
        settings.mixture.learnInterval = 4_096
        #expect(try Numbers(users: 9e5, events: 130_000).plan(settings).groups == 1)
        settings.mixture.enabled = false
        let plain = try Numbers(users: 1e6, events: 250_000).plan(settings)
        #expect(plain.groups == 1)
        #expect(!plain.warnings.contains { $0.contains("learn-interval") })
    }

    @Test("limits of the settings are named with the key that moves them")
    func limits() throws {
        var settings = MillraceSettings()
        settings.teachers.enabled = ["ease"]
        let numbers = Numbers(
            users: 1e9, items: 1e8, events: 1e5, lists: 1e4, feeds: 1e8, history: 600)
        let warnings = try numbers.plan(settings).warnings
        for key in [
            "rules.pairs-max", "redis.users-bytes-max", "catalogue.items-max", "feeds.watched-max",
            "engine.users-cached-max", "engine.history-max", "mixture.learn-interval",
            "feeds.refresh-interval",
        ] {
            #expect(warnings.contains { $0.contains(key) }, "\(key)")
            #expect(SettingKey.byPath[key] != nil)
        }
        for match in warnings.joined().matches(of: #/[a-z]+\.[a-z]+(?:-[a-z]+)+/#) {
            #expect(SettingKey.byPath[String(match.0)] != nil, "\(match.0)")
        }
        let few = Sizing(
            try Numbers(users: 1e6, events: 90_000).load(), MillraceSettings(), partitionsThere: 1)
        #expect(few.warnings.contains { $0.contains("1 partitions") })
    }

    @Test("nonsense is refused by name")
    func refusals() throws {
        let nan = Double.nan
        for (numbers, option) in [
            (Numbers(users: 0), "--users"), (Numbers(users: nan), "--users"),
            (Numbers(users: 1e13), "--users"), (Numbers(items: 0), "--items"),
            (Numbers(items: 1e9), "--items"), (Numbers(events: -1), "--events-per-second"),
            (Numbers(events: .infinity), "--events-per-second"),
            (Numbers(lists: nan), "--lists-per-second"), (Numbers(feeds: 1_001), "--feeds"),
            (Numbers(history: 4_097), "--history"),
        ] {
            let problem = #expect(throws: SizingProblem.self) { try numbers.load() }
            #expect(problem?.description.hasPrefix(option + " ") == true)
        }
        var costs = UnitCosts()
        for text in [
            "", "fold", "fold=", "fold=x", "fold=-1", "fold=1e13", "folds=1", "redis-load=0",
        ] {
            let problem = #expect(throws: SizingProblem.self) { try costs.set(text) }
            #expect(problem?.description.contains("unit cost") == true)
        }
        try costs.set("fold=20")
        #expect(costs[.fold] == 20 && costs[.peer] == UnitCost.peer.facts.value)
    }

    @Test("every bound at once, and every cost at either end, still gives a plan")
    func extremes() throws {
        let most = Numbers(
            users: SizingLoad.usersMax, items: SizingLoad.itemsMax, events: SizingLoad.rateMax,
            lists: SizingLoad.rateMax, feeds: SizingLoad.usersMax, history: SizingLoad.historyMax)
        for value in ["0", "1e12"] {
            var costs = UnitCosts()
            for cost in UnitCost.allCases where cost != .redisLoad {
                try costs.set("\(cost.rawValue)=\(value)")
            }
            for numbers in [most, Numbers(users: 1, items: 1, events: 0, history: 0)] {
                let plan = Sizing(try numbers.load(.lm), MillraceSettings(), costs)
                #expect(plan.instances >= 1 && plan.groups >= 1)
                #expect(!plan.text.isEmpty)
            }
        }
        #expect(Set(UnitCost.allCases.map(\.rawValue)).count == UnitCost.allCases.count)
        #expect(UnitCost.table.split(separator: "\n").count == UnitCost.allCases.count)
    }

    @Test("numbers are written with three digits")
    func numbers() {
        #expect(Sizing.short(0) == "0" && Sizing.short(999) == "999")
        #expect(Sizing.short(999.6) == "1 k" && Sizing.short(62_786) == "62.8 k")
        #expect(Sizing.short(444_999_945) == "445 M" && Sizing.short(3e14) == "300 T")
        #expect(Sizing.text(bytes: 1_536) == "1.5 KiB" && Sizing.text(bytes: 3) == "3 B")
        #expect(Sizing.significant(0.0123456) == "0.0123" && Sizing.significant(0.5) == "0.5")
        #expect(Sizing.percent(0.25) == "25 %" && Sizing.percent(1) == "100 %")
        #expect(Sizing.text(seconds: 90) == "90 s" && Sizing.text(seconds: 10_800) == "3 h")
        #expect(Sizing.text(seconds: 600) == "10 min")
    }

    @Test("bounds that other modules set are the same there")
    func bounds() {
        #expect(Sizing.ruleReach == Double(TransitionCounts.reach))
        #expect(Sizing.latestPairsMax == Double(RecentPairs.pairsMax))
        #expect(SizingLoad.historyMax == Double(UserState.historyCountMax))
    }
}
