// Item-kNN: what people who had this also had, by the cosine of exact co-occurrence counts.
//
// score(b) = sum over the last items a of the history, newest first (age 0, 1, ...), a other than b:
//            decay^age * G[a, b] / (sqrt(n(a) n(b)) + shrink)
//
// G is `Statistics.cooccurrences`, n `Statistics.counts`. Shrinkage as in Bell and Koren (2007): a cosine of few
// histories is pulled to zero. Nothing is solved: every event shows in the next scores.

public struct NeighbourParameters: Sendable, Hashable {
    /// Weight of an item by its age in the history: decay ^ age.
    public var decay: Double
    /// Added to the denominator.
    public var shrink: Double
    /// Items of the history that take part, newest first.
    public var sourcesMax: Int

    public init(decay: Double = 0.7, shrink: Double = 5, sourcesMax: Int = 20) {
        self.decay = decay
        self.shrink = shrink
        self.sourcesMax = sourcesMax
    }
}

/// Item-kNN on the live counts; it proposes nothing where co-occurrence is not counted.
public struct ItemNeighbours: LiveTeacher {
    public static let name = "item-knn"
    public static let readsCooccurrence = true
    public static let parameters: [TeacherParameter<Self>] = [
        .init("decay", 0...1) {
            $0.parameters.decay
        } write: {
            $0.parameters.decay = $1
        },
        .init("shrink", 0...1e6) {
            $0.parameters.shrink
        } write: {
            $0.parameters.shrink = $1
        },
        .init("sources", 1...4_096) {
            Double($0.parameters.sourcesMax)
        } write: {
            $0.parameters.sourcesMax = Int($1)
        },
    ]

    public var parameters: NeighbourParameters

    public init() { self.init(NeighbourParameters()) }
    public init(_ parameters: NeighbourParameters) { self.parameters = parameters }

    public func score(
        _ user: TeacherUser, from statistics: Statistics, into scores: inout SparseScores
    ) {
        let counts = statistics.counts
        let shrink = parameters.shrink
        var weight = 1.0
        for key in user.items.prefix(parameters.sourcesMax) {
            defer { weight *= parameters.decay }
            guard let source = statistics.items.number(of: key) else { continue }
            let sourceCount = Double(counts[Int(source)])
            scores.add(statistics.cooccurrences.row(source)) { item, count in
                let scale = (sourceCount * Double(counts[Int(item)])).squareRoot() + shrink
                return scale > 0 ? weight * Double(count) / scale : 0
            }
        }
    }
}
