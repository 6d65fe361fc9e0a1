// "Did you mean": the nearest permitted word, when one is near enough to be meant.

enum Suggestion {
    /// Longer words are not compared: nobody mistypes those, and the cost grows with the square.
    static let lengthMax = 64

    /// The candidate with the least edit distance to `word`, if it is at most a third of the word away, or starts
    /// with
    /// it, or is its start.
    static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
        let word = word.lowercased()
        guard !word.isEmpty, word.utf8.count <= lengthMax else { return nil }
        let distanceMax = max(1, word.utf8.count / 3)
        var best: (distance: Int, candidate: String)?
        for candidate in candidates where candidate.utf8.count <= lengthMax {
            let lower = candidate.lowercased()
            var distance = distance(Array(word.utf8), Array(lower.utf8))
            if lower.utf8.count >= 3, lower.hasPrefix(word) || word.hasPrefix(lower) {
                distance = min(distance, distanceMax)
            }
            if distance <= distanceMax, distance < best?.distance ?? .max {
                best = (distance, candidate)
            }
        }
        return best?.candidate
    }

    /// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var older: [Int] = []
        var old = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var new = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(old[column] + (byte == other ? 0 : 1), old[column + 1] + 1)
                cost = min(cost, new[column] + 1)
                if row > 0, column > 0, byte == right[column - 1], left[row - 1] == other {
                    cost = min(cost, older[column - 1] + 1)
                }
                new.append(cost)
            }
            older = old
            old = new
        }
        return old[right.count]
    }
}
