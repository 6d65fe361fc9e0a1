// Teachers among the judged sources: made from what was learnt so far, between two chunks of scored events.

import Interactions
import Recommender
import Teachers

extension Evaluator {
    private var judgedTeachers: [any Teacher] {
        configuration.sources.compactMap { source in
            guard case .teacher(let name) = source else { return nil }
            return configuration.teachers.first { $0.name == name }
                ?? TeacherRegistry.teacher(named: name)
        }
    }

    var needsHistories: Bool { judgedTeachers.contains { type(of: $0).material == .histories } }

    func installTeachers() { for teacher in judgedTeachers { engine.install(teacher) } }

    /// Solves every model anew from all that was learnt until now.
    public func solveTeachers() {
        solvedAt = learnedCount
        let teachers = judgedTeachers.filter {
            [.statistics, .histories].contains(type(of: $0).material)
        }
        guard !teachers.isEmpty else { return }
        let material = TeacherMaterial(
            statistics: engine.statistics, histories: needsHistories ? histories() : Histories(),
            version: UInt64(learnedCount) + 1)
        for teacher in teachers {
            do {
                engine.install(try teacher.solved(from: material) { _ in true })
                solvedCount += 1
            } catch {
                solveFailure = error
            }
        }
    }

    /// In an order of its own, so that a run repeats to the last digit.
    private func histories() -> Histories {
        var found = Histories()
        let rules = configuration.engine.history
        for state in sequences { found.append(state, rules: rules) }
        for user in states.keys.sorted() {
            if let state = states[user] { found.append(state, rules: rules) }
        }
        return found
    }
}
