// Several sequential rules over one history: reading the rows is what costs, so each is read once for all of them.

public import Interactions

/// Rules that score together. The scores are to the last bit those that `SequentialRules` gives each alone.
public struct RuleFamily: Sendable {
    /// The last of four lanes adds up bare counts: an item with any was touched, whatever its scores are.
    public static let membersMax = 3
    private static let countLane = 3

    private let members: [SequentialRules]
    private let sourcesMax: Int
    @usableFromInline private(set) var scores: [SIMD4<Double>] = []
    /// Items that a row touched, and one place more: the next is written there before it is known to be new.
    private var places: [KeyIndex.Number] = [0]
    private var touchedCount = 0

    public init(_ members: [SequentialRules]) {
        precondition(members.count <= Self.membersMax, "a lane a member")
        self.members = members
        sourcesMax = members.map(\.parameters.sourcesMax).max() ?? 0
    }

    /// Items that some member has a score for, in order of first touch.
    public var touched: ArraySlice<KeyIndex.Number> { places[..<touchedCount] }

    /// The scores of an item, by place of the member; 0 where a member has none.
    @inlinable
    public subscript(_ item: KeyIndex.Number) -> SIMD4<Double> { scores[Int(item)] }

    /// Scores a history, newest first, in place of the one before.
    public mutating func score(recent: [ItemKey], from statistics: Statistics) {
        begin(statistics.items.count)
        for (age, key) in recent.prefix(sourcesMax).enumerated() {
            guard let item = statistics.items.number(of: key) else { continue }
            var factors = SIMD4<Double>.zero
            for (lane, member) in members.enumerated() where age < member.parameters.sourcesMax {
                factors[lane] = member.factor(age, item, statistics)
            }
            guard factors.max() > 0 else { continue }
            factors[Self.countLane] = 1
            add(statistics.transitions.rows[Int(item)], factors)
        }
    }

    private mutating func begin(_ count: Int) {
        for item in touched { scores[Int(item)] = .zero }
        touchedCount = 0
        if scores.count < count {
            scores.append(contentsOf: repeatElement(.zero, count: count - scores.count))
            places.append(contentsOf: repeatElement(0, count: count + 1 - places.count))
        }
    }

    private mutating func add(_ row: CountRow, _ factors: SIMD4<Double>) {
        // Spans of both, so that nothing in the loop asks whether an array is shared.
        var scores = self.scores
        var places = self.places
        (self.scores, self.places) = ([], [])
        var touchedCount = touchedCount
        var scoreSpan = scores.mutableSpan
        var placeSpan = places.mutableSpan
        row.forEachPositive { item, count in
            let old = scoreSpan[Int(item)]
            placeSpan[touchedCount] = item
            touchedCount &+= old[Self.countLane] == 0 ? 1 : 0
            scoreSpan[Int(item)] = old + factors * Double(count)
        }
        self.touchedCount = touchedCount
        (self.scores, self.places) = (scores, places)
    }
}
