// Teachers beside the rules: solved elsewhere from a copy of the statistics, put in place here between two batches,
// and able to make a list of their own.

public import Interactions
public import Teachers

extension Engine {
    /// Puts a teacher in place of the one of its name. Binding costs a look-up an item; serving reads the new version
    /// from the next call on.
    public func install(_ teacher: any Teacher) {
        var teacher = teacher
        teacher.bind(to: statistics.items)
        teachers[teacher.name] = teacher
    }

    /// The teacher of this name as it serves now; nil when none was installed.
    public func teacher(named name: String) -> (any Teacher)? { teachers[name] }

    /// Numbers of items changed: models find theirs again.
    func bindTeachers() { for teacher in teachers.values { install(teacher) } }

    /// The best items that one teacher proposes, best first; fewer than `count` where it has nothing to say, none when
    /// it is not installed or has learnt nothing.
    public func recommend(
        _ state: UserState, by name: String, external: [UInt8] = [], session: [ItemKey] = [],
        candidates: [ItemKey]? = nil, exclude: [ItemKey] = [], count: Int,
        gate: ListGate = .open, now: Milliseconds
    ) -> [ListedItem] {
        guard let teacher = teachers[name] else { return [] }
        let request = ListRequest(
            recent: [], hidden: hidden(state, now: now) + session + exclude,
            candidates: candidates, count: count, gate: gate, now: now)
        return scorer.list(
            request, by: teacher, for: user(state, session: session, external: external),
            statistics: statistics, catalogue: catalogue)
    }

    /// A teacher's score of every item by number; nil where it has nothing to say.
    public func scoreAll(
        _ state: UserState, by name: String, external: [UInt8] = []
    ) -> [Double?] {
        guard let teacher = teachers[name] else {
            return Array(repeating: nil, count: statistics.items.count)
        }
        return teacher.logits(
            of: user(state, session: [], external: external), from: statistics)
    }

    /// Where an item is in the whole ranking of one teacher; no rank where it has nothing to say of it.
    public func explain(
        _ item: ItemKey, for state: UserState, by name: String, external: [UInt8] = [],
        now: Milliseconds
    ) -> Ranking {
        let scores = scoreAll(state, by: name, external: external)
        let hidden = Set(hidden(state, now: now))
        let number = statistics.items.number(of: item)
        let score = number.flatMap { scores[Int($0)] }
        let removal = catalogue.removal(item, now: now) ?? (hidden.contains(item) ? .seen : nil)
        var rank: Int?
        if removal == nil, let number, let score {
            let own = Candidate(number: number, key: item, score: score)
            rank = 1
            for (index, rivalScore) in scores.enumerated() {
                let other = KeyIndex.Number(index)
                guard let rivalScore, other != number,
                    catalogue.isRecommendable(other, now: now)
                else { continue }
                let key = statistics.items.keys[index]
                let rival = Candidate(number: other, key: key, score: rivalScore)
                if Candidate.precedes(rival, own), !hidden.contains(key) { rank? += 1 }
            }
        }
        return Ranking(
            rank: rank, score: score ?? 0, ruleScore: 0, popularityScore: 0, evidence: [],
            removal: removal)
    }

    private func user(
        _ state: UserState, session: [ItemKey], external: [UInt8]
    ) -> TeacherUser {
        var user = TeacherUser(state, rules: configuration.history, external: external)
        guard !session.isEmpty else { return user }
        // What was just looked at counts like an event of weight 1, and counts once.
        let held = session.reversed()
        let kept = user.items.indices.filter { !session.contains(user.items[$0]) }
        user.weights = held.map { _ in 1 } + kept.map { user.weights[$0] }
        user.items = held + kept.map { user.items[$0] }
        return user
    }
}
