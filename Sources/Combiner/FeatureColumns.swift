// The features of a list turned round: a column a feature, 16 candidates at a time. Sums over candidates, which is what
// fitting the first stage is made of, then take no sum across lanes but one at their end.

/// The features that one list has, of a list of which it is known what came.
struct FeatureColumns {
    typealias Block = SIMD16<Float>

    private static let lanes = Block(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

    /// Place of each column.
    let places: [Int]
    /// Candidates; lanes behind the last one are 0.
    let count: Int
    let target: Int
    let blockCount: Int
    /// Column after column.
    private var blocks: [Block] = []

    @inline(__always)
    init(places: [Int], count: Int, target: Int, value: (_ row: Int, _ column: Int) -> Float) {
        self.places = places
        self.count = count
        self.target = target
        blockCount = (count + 15) / 16
        blocks.reserveCapacity(places.count * blockCount)
        for column in places.indices {
            for begin in stride(from: 0, to: count, by: 16) {
                var block = Block.zero
                for lane in 0..<16 where begin + lane < count {
                    block[lane] = value(begin + lane, column)
                }
                blocks.append(block)
            }
        }
    }

    init(_ list: LearntList) {
        let places = list.present.places
        self.init(places: places, count: list.rowCount, target: list.target) { row, column in
            LearntList.float(list.halves[row * places.count + column])
        }
    }

    /// What only the short list has.
    init(_ list: ShortList) {
        let places = Feature.ofShortList.places.filter(list.features.contains)
        self.init(places: places, count: list.rows.count, target: list.target) { row, column in
            list.rows[row][places[column]]
        }
    }

    mutating func scale(by scale: FeatureRow) {
        for (column, place) in places.enumerated() {
            for index in range(column) { blocks[index] *= scale[place] }
        }
    }

    private func range(_ column: Int) -> Range<Int> {
        column * blockCount..<(column + 1) * blockCount
    }

    /// The weighted sum of each candidate's features, by blocks.
    func scores(_ weights: FeatureRow, into scores: inout [Block]) {
        scores.removeAll(keepingCapacity: true)
        for _ in 0..<blockCount { scores.append(.zero) }
        for (column, place) in places.enumerated() {
            let weight = weights[place]
            let begin = column * blockCount
            for index in 0..<blockCount { scores[index] += blocks[begin + index] * weight }
        }
    }

    /// The same, one by one.
    func scores(_ weights: FeatureRow) -> [Float] {
        var found: [Block] = []
        scores(weights, into: &found)
        return (0..<count).map { found[$0 / 16][$0 % 16] }
    }

    /// A column times these numbers of the candidates.
    func product(_ column: Int, _ others: [Block]) -> Float {
        var sum = Block.zero
        let begin = column * blockCount
        for index in 0..<blockCount { sum += blocks[begin + index] * others[index] }
        return total(sum)
    }

    func sumOfSquares(_ column: Int) -> Float {
        var sum = Block.zero
        for index in range(column) { sum += blocks[index] * blocks[index] }
        return total(sum)
    }

    /// A column with each candidate's number multiplied.
    func weigh(_ column: Int, by others: [Block], into result: inout [Block]) {
        result.removeAll(keepingCapacity: true)
        let begin = column * blockCount
        for index in 0..<blockCount { result.append(blocks[begin + index] * others[index]) }
    }

    func value(_ row: Int, _ column: Int) -> Float {
        blocks[column * blockCount + row / 16][row % 16]
    }

    /// Turns scores into probabilities in place and returns the logarithm of their sum of exponentials.
    func softmax(_ scores: inout [Block]) -> Double {
        // Scores of lanes behind the last candidate are 0: a greater maximum than the true one does no harm as long as
        // that is not far below 0, and features are relative to the mean of their list.
        var top = Block(repeating: -.infinity)
        for score in scores { top.replace(with: score, where: score .> top) }
        let most = greatest(top)
        var sum = Block.zero
        for index in scores.indices {
            scores[index] = exponential(scores[index] - most)
            if index == blockCount - 1 {
                scores[index].replace(with: 0, where: Self.lanes .>= Float(count - 16 * index))
            }
            sum += scores[index]
        }
        let all = total(sum)
        for index in scores.indices { scores[index] *= 1 / all }
        return naturalLog(Double(all)) + Double(most)
    }
}
