import Interactions
import Teachers

/// Proposes what shares the largest part of its histories with the newest item: the Jaccard index.
struct JaccardTeacher: LiveTeacher {
    static let name = "jaccard"
    static let readsCooccurrence = true
    static let parameters: [TeacherParameter<Self>] = [
        .init("together-min", 1...1e6) {
            $0.togetherMin
        } write: {
            $0.togetherMin = $1
        }
    ]

    /// Pairs seen together less often than this are chance.
    var togetherMin = 1.0

    func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        guard let newest = user.items.first,
            let source = statistics.items.number(of: newest)
        else { return }
        let own = statistics.counts[Int(source)]
        statistics.cooccurrences.row(source).forEachPositive { item, together in
            let either = own + statistics.counts[Int(item)] - together
            guard Double(together) >= togetherMin, either > 0 else { return }
            scores.add(item, Double(together) / Double(either))
        }
    }
}
