// Decayed popularity as a teacher: the same for everybody.

/// Scores every item by its share of decayed popularity.
public struct PopularityTeacher: LiveTeacher {
    public static let name = "popularity"

    /// Which of the configured half-lives.
    public var halfLifeIndex: Int

    public init() { self.init(halfLifeIndex: 0) }
    public init(halfLifeIndex: Int) { self.halfLifeIndex = halfLifeIndex }

    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        guard statistics.popularities.indices.contains(halfLifeIndex) else { return }
        let popularity = statistics.popularities[halfLifeIndex]
        for item in 0..<KeyIndex.Number(statistics.items.count) {
            let share = popularity.share(item)
            if share > 0 { scores.add(item, share) }
        }
    }
}
