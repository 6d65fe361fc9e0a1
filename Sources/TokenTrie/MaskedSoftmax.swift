// The softmax of MSL (arXiv 2504.04178): over the tokens that may follow and no others. Logits outside are not read.

extension LegalTokens {
    /// Log-probabilities of all rows, in the order of `tokens`: log softmax(z / temperature) over each row.
    ///
    /// `logits` holds one row of `vocabulary` numbers for each row. A row with a logit that is NaN becomes NaN; a beam
    /// refuses it by name.
    public func logProbabilities(
        logits: Span<Float>, vocabulary: Int, temperature: Double = 1,
        into logProbabilities: inout [Float]
    ) {
        precondition(logits.count == rowCount * vocabulary, "one row of logits for each row")
        precondition(temperature > 0, "a temperature is above 0")
        logProbabilities.removeAll(keepingCapacity: true)
        logProbabilities.reserveCapacity(tokens.count)
        var scaled: [Double] = []
        for row in 0..<rowCount {
            let start = row * vocabulary
            let slots = self.row(row)
            var greatest = -Double.infinity
            var isNumber = true
            scaled.removeAll(keepingCapacity: true)
            for slot in slots {
                let value = Double(logits[start + Int(tokens[slot])])
                scaled.append(value)
                isNumber = isNumber && !value.isNaN
                greatest = value > greatest ? value : greatest
            }
            guard isNumber, greatest.isFinite else {
                // All or nothing at infinity: no distribution either.
                for _ in slots { logProbabilities.append(.nan) }
                continue
            }
            exponentiate(&scaled, shift: greatest, scale: 1 / temperature)
            let logSum = logarithm(scaled.reduce(0, +))
            for slot in slots {
                let value = Double(logits[start + Int(tokens[slot])])
                logProbabilities.append(Float((value - greatest) / temperature - logSum))
            }
        }
    }
}
