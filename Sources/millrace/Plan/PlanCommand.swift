// `millrace plan`: what a load takes, before anything is bought.

import ArgumentParser
import Foundation
import Settings

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say how many instances, and how much memory, a load takes.",
        discussion: """
            Arithmetic from unit costs that were measured on one machine (docs/scaling.md), with the limits of the
            settings. --costs lists the unit costs; --cost replaces one by what yours has. Nothing is contacted.
            Exits 0 with a plan, also with one that warns; 64 for a load that makes no sense; 78 for faulty settings.
            """)

    @Option(help: "Users with a state.") var users: Double?
    @Option(help: "Items.") var items: Double?
    @Option(help: "Interactions a second, at the busiest.") var eventsPerSecond: Double?
    @Option(help: "Lists made a second; replies from the cache cost a tenth.")
    var listsPerSecond = 0.0
    @Option(help: "How those lists are made: auto, cf, lm.") var mode = "auto"
    @Option(help: "Users whose feed is watched.") var feeds = 0.0
    @Option(help: "Distinct items of a user's history, in the mean.") var history = 50.0
    @Option(help: "Partitions there are, to be checked against.") var partitions: Int?
    @Option(help: "Plan with this mixture.learn-interval.") var learnInterval: Int?
    @Option(name: .shortAndLong, help: "The settings file.", completion: .file())
    var config: String?
    @Option(help: "A unit cost of your own: name=value. May be repeated.") var cost: [String] = []
    @Flag(help: "List the unit costs with where they were measured, and plan nothing.")
    var costs = false
    @Flag(help: "Print the plan as JSON.") var json = false

    func validate() throws {
        guard !costs else { return }
        _ = try (load(), unitCosts())
        if let partitions, partitions < 1 {
            throw ValidationError("--partitions \(partitions) is not above 0")
        }
        if let learnInterval, !(1...1_000_000).contains(learnInterval) {
            throw ValidationError("--learn-interval \(learnInterval) is not in 1...1000000")
        }
    }

    func run() throws {
        guard !costs else { return print(UnitCost.table, terminator: "") }
        var settings = try CheckConfigCommand.settings(config, checkingSecrets: false)
        if let learnInterval { settings.mixture.learnInterval = learnInterval }
        let plan = try Sizing(load(), settings, unitCosts(), partitionsThere: partitions)
        guard json else { return print(plan.text, terminator: "") }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(plan), as: UTF8.self))
    }

    private func load() throws -> SizingLoad {
        guard let users, let items, let eventsPerSecond else {
            throw ValidationError(
                "A plan needs --users, --items and --events-per-second; see millrace plan --help")
        }
        guard let mode = SizingLoad.Mode(rawValue: mode) else {
            throw ValidationError("--mode '\(mode)' is not auto, cf or lm")
        }
        do {
            return try SizingLoad(
                users: users, items: items, eventsPerSecond: eventsPerSecond,
                listsPerSecond: listsPerSecond, mode: mode, feeds: feeds, history: history)
        } catch { throw ValidationError(error.description) }
    }

    private func unitCosts() throws -> UnitCosts {
        var costs = UnitCosts()
        for text in cost {
            do { try costs.set(text) } catch { throw ValidationError(error.description) }
        }
        return costs
    }
}
