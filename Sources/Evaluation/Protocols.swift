// The orders of learning and scoring that count as an evaluation. None of them lets a score see its own event.

public import Interactions
import Recommender

/// One line of a log, in the order of time.
public enum LogChange: Sendable, Hashable {
    case item(ItemRecord)
    case interaction(Interaction)
}

/// Rows of a fixed split, each a history and what came next.
public struct SequenceRow: Sendable, Hashable {
    public var history: [Interaction]
    public var target: Interaction

    public init(history: [Interaction], target: Interaction) {
        self.history = history
        self.target = target
    }
}

public enum EvaluationProtocol: Sendable, Hashable {
    /// The first share of the events warms up; every later one is scored, then learned.
    case prequential(warmUp: Double)
    /// The last event of every user with at least two is scored by what all other events taught.
    case leaveOneOut
    /// The first share of the events is learned; later ones are scored while only histories go on.
    case timeSplit(train: Double)
}

extension Evaluator {
    /// Last events of a warm-up that the combiner learns from; all of it where it learns from few, as in the daemon.
    private var mixtureWarmUp: Int { configuration.mixtureLearnInterval > 1 ? .max : 6_000 }

    /// Runs a protocol over a log. Models are solved before the first scored event, and in a prequential run after
    /// every `solveInterval` events. `every` n-th event that could be scored is (1 = all of them); `progress` hears
    /// how many lines are done.
    public func run(
        _ order: EvaluationProtocol, over log: [LogChange], every: Int = 1,
        progress: (Int) -> Void = { _ in }
    ) {
        switch order {
        case .prequential(let warmUp):
            walk(log, from: warmUp, every: every, progress: progress) { self.learn($0) }
        case .timeSplit(let train):
            walk(log, from: train, every: every, progress: progress) { self.learnUserOnly($0) }
        case .leaveOneOut: leaveOneOut(log, every: every, progress: progress)
        }
    }

    private func walk(
        _ log: [LogChange], from start: Double, every: Int, progress: (Int) -> Void,
        then continueWith: (Interaction) -> Void
    ) {
        precondition((0...1).contains(start) && every > 0, "a share of the log, and a stride")
        let eventCount = log.reduce(0) { if case .interaction = $1 { $0 + 1 } else { $0 } }
        let first = Int(Double(eventCount) * start)
        var position = 0
        for (line, change) in log.enumerated() {
            switch change {
            case .item(let record): set(record)
            case .interaction(let event):
                // A model never sees what it is asked for: it is made before the chunk it scores.
                if position >= first, (position - first) % configuration.solveInterval == 0 {
                    if position == first || learnedCount > solvedAt { solveTeachers() }
                }
                if position < first {
                    if needsMixture, first - position <= mixtureWarmUp { warm(event) }
                    learn(event)
                } else {
                    if (position - first) % every == 0 { score(event) }
                    continueWith(event)
                }
                position += 1
            }
            progress(line + 1)
        }
    }

    private func leaveOneOut(_ log: [LogChange], every: Int, progress: (Int) -> Void) {
        var counts: [UserID: Int] = [:]
        var last: [UserID: Int] = [:]
        for (line, change) in log.enumerated() {
            guard case .interaction(let event) = change else { continue }
            counts[event.user, default: 0] += 1
            last[event.user] = line
        }
        var targets: [Interaction] = []
        for (line, change) in log.enumerated() {
            switch change {
            case .item(let record): set(record)
            case .interaction(let event):
                if counts[event.user, default: 0] > 1, last[event.user] == line {
                    targets.append(event)
                } else {
                    learn(event)
                }
            }
            progress(line + 1)
        }
        solveTeachers()
        for (index, target) in targets.enumerated() where index % every == 0 {
            score(target)
            progress(log.count)
        }
    }

    /// Learns each training row as a history of its own, then scores the test rows.
    ///
    /// Rows overlap when they are cut from one user's log; counting every row is how the reference numbers were made.
    public func run(
        train: [SequenceRow], validation: [SequenceRow] = [], test: [SequenceRow],
        progress: (Int) -> Void = { _ in }
    ) {
        for (index, row) in train.enumerated() {
            learn(sequence: row.history + [row.target])
            progress(index + 1)
        }
        solveTeachers()
        // The combiner learns from rows the other sources have not seen; the tested rows teach it nothing.
        if needsMixture {
            for row in validation { warm(row.target, after: row.history) }
            fitMixtures()
            learnsMixture = false
        }
        for (index, row) in test.enumerated() {
            score(row.target, after: row.history)
            progress(train.count + index + 1)
        }
    }
}
