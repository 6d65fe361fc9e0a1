// Models of teachers: looked up in the store, solved beside serving, put in place between two batches, stored.
//
// The owner of partition 0 solves for all; the others find what it stored. A model is no truth and may be missing,
// late or refused at any time: the one before serves on, and nothing else waits.

import Interactions
public import Ports
import Recommender
public import Teachers

/// What a solve is made from: values, so that the engine goes on.
public struct SolveOrder: Sendable {
    /// The parameters; nothing learnt.
    public var teacher: any Teacher
    public var statistics: Statistics
    /// Histories are read of this many partitions, if the teacher wants them.
    public var partitionCount: Int32
    public var version: UInt64
    public var ticket: Ticket
}

/// Why there is no new model.
public enum SolveTrouble: Error, Sendable, Equatable {
    case solve(SolveFailure)
    case store(PortError)
}

/// What a look at the store found.
public enum LoadedModel: Sendable {
    case nothingNewer
    case model(any Teacher)
    /// Damaged, or made with other parameters.
    case refused(version: UInt64, reason: String)
}

/// What is known of one teacher that has a model.
struct ModelEntry {
    enum Work: String { case none, looking, solving, saving }

    let blank: any Teacher
    var work = Work.none
    /// Of the work under way; an answer with another one comes too late.
    var ticket: Ticket = 0
    /// In use; 0: nothing was learnt.
    var version: UInt64 = 0
    /// The newest that was stored, whether it could be used or not.
    var versionSeen: UInt64 = 0
    /// The store has said what it holds: before that nothing is solved.
    var hasLooked = false
    var lookAt: Milliseconds = 0
    var failedLookCount = 0
    /// When to solve again.
    var dueAt: Milliseconds = 0
    var endedAt: Milliseconds = 0
    /// Of the statistics that the last solve began with.
    var pairCount = 0
    var statisticsVersion: UInt64?
    var incarnation = ""
    var progress = 0.0
    var solveSeconds = 0.0
    var solveCount = 0
    var failureCount = 0
    var failure: String?
    var storedBytes = 0
    /// Items that the statistics had when external scores were bound to them.
    var boundItemCount = 0

    var isSolved: Bool {
        switch type(of: blank).material {
        case .statistics, .histories: true
        case .nothing, .external: false
        }
    }
}

struct ModelDesk {
    /// By name, in the order of the configuration.
    var entries: [String: ModelEntry] = [:]
    var names: [String] = []

    var isSolving: Bool {
        entries.values.contains { $0.work == .solving || $0.work == .saving }
    }
}

extension Coordinator {
    /// A solve whose statistics have doubled is repeated early, but no sooner than this.
    private static let solvePauseMilliseconds: Milliseconds = 10_000

    /// After so many looks in vain nothing is waited for any more.
    private static let failedLooksMax = 3

    private var solvePause: Milliseconds {
        min(Self.solvePauseMilliseconds, configuration.solveIntervalMilliseconds)
    }

    /// Popularity and rules serve anyway; the others as configured.
    func installTeachers() {
        engine.install(PopularityTeacher())
        engine.install(SequentialRules(configuration.engine.rules))
        for teacher in configuration.teachers {
            engine.install(teacher)
            guard !teacher.isLive else { continue }
            if models.entries[teacher.name] == nil { models.names.append(teacher.name) }
            models.entries[teacher.name] = ModelEntry(blank: teacher)
        }
    }

    /// What is due: looks at the store, and at most one solve.
    func tendModels() {
        for name in models.names {
            guard let entry = models.entries[name], entry.work == .none, now >= entry.lookAt
            else { continue }
            look(name, entry)
        }
        startSolveIfDue()
    }

    private func look(_ name: String, _ entry: ModelEntry) {
        let ticket = newTicket()
        models.entries[name]?.work = .looking
        models.entries[name]?.ticket = ticket
        let known = max(entry.version, entry.versionSeen)
        if entry.isSolved {
            models.entries[name]?.lookAt = now + configuration.modelLookIntervalMilliseconds
            act(.loadModel(entry.blank, after: known, ticket))
        } else {
            models.entries[name]?.lookAt = now + configuration.externalIntervalMilliseconds
            bindAgainIfItemsCame(name)
            act(.loadExternal(after: known, ticket))
        }
    }

    /// Another system may publish an item before its record has come.
    private func bindAgainIfItemsCame(_ name: String) {
        let count = engine.statistics.items.count
        guard models.entries[name]?.boundItemCount != count,
            let teacher = engine.teacher(named: name)
        else { return }
        models.entries[name]?.boundItemCount = count
        engine.install(teacher)
    }

    private func startSolveIfDue() {
        guard owned[0]?.phase == .active, refolding.isEmpty, !models.isSolving,
            engine.statistics.transitions.pairCount > 0
        else { return }
        let due = models.names.filter { isDue($0) }
        let next = due.min {
            (models.entries[$0]?.dueAt ?? 0) < (models.entries[$1]?.dueAt ?? 0)
        }
        guard let name = next, var entry = models.entries[name] else { return }
        let version = max(UInt64(max(wall, 1)), max(entry.version, entry.versionSeen) + 1)
        entry.work = .solving
        entry.ticket = newTicket()
        entry.progress = 0
        entry.pairCount = engine.statistics.transitions.pairCount
        entry.statisticsVersion = engine.statisticsVersion
        entry.incarnation = storeHealth.incarnation
        models.entries[name] = entry
        act(
            .solve(
                SolveOrder(
                    teacher: entry.blank, statistics: engine.statistics,
                    partitionCount: partitionCount, version: version, ticket: entry.ticket)))
    }

    private func isDue(_ name: String) -> Bool {
        guard let entry = models.entries[name], entry.isSolved, entry.work == .none,
            entry.hasLooked, entry.statisticsVersion != engine.statisticsVersion
        else { return false }
        if now >= entry.dueAt { return true }
        let hasDoubled = engine.statistics.transitions.pairCount >= 2 * entry.pairCount
        return hasDoubled && now >= entry.endedAt + solvePause
    }

    // MARK: - Answers

    /// Ends the work that the ticket names; false when that was given up meanwhile.
    private func end(_ work: ModelEntry.Work, of name: String, _ ticket: Ticket) -> Bool {
        guard let entry = models.entries[name], entry.work == work, entry.ticket == ticket
        else { return false }
        models.entries[name]?.work = .none
        return true
    }

    public func modelLoaded(
        _ name: String, _ ticket: Ticket, _ result: Result<LoadedModel, PortError>
    ) {
        guard end(.looking, of: name, ticket) else { return }
        switch result {
        case .failure(let error) where error.isRetriable:
            let count = (models.entries[name]?.failedLookCount ?? 0) + 1
            models.entries[name]?.failedLookCount = count
            // A pointer whose chunks are gone looks like trouble that passes, and does not pass.
            if count >= Self.failedLooksMax { models.entries[name]?.hasLooked = true }
            fail(name, "cannot be read now: \(error.reason)")
        case .failure(let error):
            models.entries[name]?.hasLooked = true
            fail(name, "cannot be read: \(error.reason)")
        case .success(.nothingNewer): models.entries[name]?.hasLooked = true
        case .success(.refused(let version, let reason)):
            models.entries[name]?.hasLooked = true
            models.entries[name]?.versionSeen = version
            fail(name, "version \(version) is not used: \(reason)")
        case .success(.model(let teacher)):
            models.entries[name]?.hasLooked = true
            models.entries[name]?.pairCount = engine.statistics.transitions.pairCount
            // The version of a solved model is the time of its statistics.
            let age = wall - Milliseconds(clamping: teacher.version)
            let interval = configuration.solveIntervalMilliseconds
            models.entries[name]?.dueAt = now + min(max(interval - age, 0), interval)
            models.entries[name]?.endedAt = now
            publish(teacher, from: "the store")
        }
    }

    public func solveProgressed(_ name: String, _ ticket: Ticket, _ share: Double) {
        guard models.entries[name]?.ticket == ticket else { return }
        models.entries[name]?.progress = share
    }

    public func solved(
        _ name: String, _ ticket: Ticket, _ result: Result<any Teacher, SolveTrouble>,
        seconds: Double
    ) {
        guard end(.solving, of: name, ticket), let entry = models.entries[name] else { return }
        models.entries[name]?.endedAt = now
        models.entries[name]?.solveSeconds = seconds
        models.entries[name]?.dueAt = now + configuration.solveIntervalMilliseconds
        switch result {
        case .success(let teacher):
            models.entries[name]?.solveCount += 1
            publish(teacher, from: "a solve")
            models.entries[name]?.work = .saving
            act(.saveModel(teacher, incarnation: entry.incarnation, ticket))
        case .failure(.solve(.cancelled)): models.entries[name]?.dueAt = now + solvePause
        case .failure(.solve(.unsolvable(let reason))): fail(name, "was not solved: \(reason)")
        case .failure(.store(let error)):
            models.entries[name]?.dueAt = now + solvePause
            models.entries[name]?.statisticsVersion = nil
            fail(name, "was not solved, histories cannot be read: \(error.reason)")
        }
    }

    public func modelSaved(_ name: String, _ ticket: Ticket, _ result: Result<Int, PortError>) {
        guard end(.saving, of: name, ticket) else { return }
        switch result {
        case .success(let bytes): models.entries[name]?.storedBytes = bytes
        case .failure(let error): fail(name, "serves, but was not stored: \(error.reason)")
        }
    }

    /// One assignment between two batches: every list from now on is made with it.
    private func publish(_ teacher: any Teacher, from origin: String) {
        engine.install(teacher)
        models.entries[teacher.name]?.version = teacher.version
        models.entries[teacher.name]?.versionSeen = teacher.version
        models.entries[teacher.name]?.failure = nil
        versions.raiseAll()
        note(
            .info, "a model is in place",
            [
                ("teacher", teacher.name), ("version", "\(teacher.version)"), ("from", origin),
            ])
    }

    /// Told once for each reason.
    private func fail(_ name: String, _ reason: String) {
        models.entries[name]?.failureCount += 1
        guard models.entries[name]?.failure != reason else { return }
        models.entries[name]?.failure = reason
        note(.warning, "the model of a teacher \(reason)", [("teacher", name)])
    }

    /// At a restart and at the end: what is under way is of no use any more.
    func giveUpModelWork() {
        guard !models.names.isEmpty else { return }
        act(.cancelSolves(upTo: newTicket()))
        for name in models.names {
            models.entries[name]?.work = .none
            models.entries[name]?.ticket = 0
            models.entries[name]?.statisticsVersion = nil
        }
    }

    // MARK: - To be seen

    var modelGauges: [(String, Double)] {
        models.names.flatMap { name -> [(String, Double)] in
            guard let entry = models.entries[name] else { return [] }
            let metric = "teacher_" + name.map { $0 == "-" ? "_" : $0 }
            return [
                (metric + "_version", Double(entry.version)),
                (metric + "_failures", Double(entry.failureCount)),
                (metric + "_solve_progress", entry.work == .solving ? entry.progress : 0),
                (metric + "_solve_seconds", entry.solveSeconds),
            ]
        }
    }

    var modelInfo: [InfoSection] {
        guard !models.names.isEmpty else { return [] }
        let lines = models.names.compactMap { name in
            models.entries[name].map { entry in
                InfoLine(
                    "teacher_\(name)",
                    "version=\(entry.version),work=\(entry.work.rawValue),"
                        + "progress=\(Int(entry.progress * 100)),solves=\(entry.solveCount),"
                        + "seconds=\((entry.solveSeconds * 1_000).rounded() / 1_000),"
                        + "bytes=\(entry.storedBytes),failures=\(entry.failureCount),"
                        + "failure=\(entry.failure ?? "none")")
            }
        }
        return [InfoSection(title: "Teachers", lines: lines)]
    }
}
