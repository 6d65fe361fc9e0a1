// The loss of one example's answer: the sum over its supervised positions, each one softmax with a soft label.
//
// Masked, the softmax at a prefix is over the tokens that may follow; where only one may, its loss and gradient are
// exactly 0, so only branching prefixes are asked of the model at all. Unmasked, it is over the vocabulary and every
// token of the path is supervised, the end token too; where a token is forced the teacher says nothing new.

public import TokenTrie

/// A sum of losses and how many it adds up.
public struct LossSum: Sendable, Equatable {
    public var sum: Double
    public var positions: Int

    /// 0 when nothing was supervised.
    public var mean: Double { positions == 0 ? 0 : sum / Double(positions) }
}

extension TokenTargets {
    /// Alpha at a position under the settings' rule for evidence.
    public func alpha(at position: Position, _ settings: AlignmentSettings) -> Double {
        settings.alpha(evidence: Double(evidence) * Double(position.prefixShare))
    }

    /// Rows of legal tokens at the branching prefixes of the path, one a position.
    ///
    /// Throws `goldNotLegal` when the path is no longer in the trie, or branches elsewhere than when it was made.
    public func legal(in trie: CatalogueTrie) throws(AlignmentError) -> LegalTokens {
        guard let branchings = trie.branchings(of: path),
            branchings.map(\.node.depth) == positions.map({ Int($0.depth) })
        else {
            throw .goldNotLegal(depth: Int(positions.first?.depth ?? 0), token: path[0])
        }
        var legal = LegalTokens()
        for branching in branchings { legal.append(branching.node, of: trie) }
        return legal
    }

    /// The loss over the trie's children (MSL): `logits` holds one number for each of `legal.tokens`.
    ///
    /// Adds `weight` × the gradient to `gradient`, which is as long as `logits`.
    public func maskedLoss(
        legal: LegalTokens, logits: Span<Float>, _ settings: AlignmentSettings, weight: Double = 1,
        gradient: inout MutableSpan<Float>
    ) throws(AlignmentError) -> LossSum {
        guard legal.rowCount == positions.count else {
            throw .count(what: "rows", expected: positions.count, received: legal.rowCount)
        }
        guard logits.count == legal.tokens.count, gradient.count == logits.count else {
            throw .count(what: "logits", expected: legal.tokens.count, received: logits.count)
        }
        var total = LossSum(sum: 0, positions: 0)
        for (index, position) in positions.enumerated() {
            let row = legal.row(index)
            let tokens = legal.tokens[row]
            guard let gold = tokens.firstIndex(of: position.gold) else {
                throw .goldNotLegal(depth: Int(position.depth), token: position.gold)
            }
            let alpha = alpha(at: position, settings)
            let label = SoftLabel(
                gold: gold - row.lowerBound,
                teacher: alpha > 0 ? distribution(at: position, over: tokens) : [], alpha: alpha)
            total.sum += try softLabelLoss(
                settings.loss, logits: logits, row: row, label: label,
                temperature: settings.temperature, weight: weight, gradient: &gradient)
            total.positions += 1
        }
        return total
    }

    /// The loss over the whole vocabulary: `logits` holds one row of `vocabulary` numbers for each token of the path.
    ///
    /// Adds `weight` × the gradient to `gradient`, which is as long as `logits`.
    public func unmaskedLoss(
        legal: LegalTokens, logits: Span<Float>, vocabulary: Int, _ settings: AlignmentSettings,
        weight: Double = 1, gradient: inout MutableSpan<Float>
    ) throws(AlignmentError) -> LossSum {
        guard legal.rowCount == positions.count else {
            throw .count(what: "rows", expected: positions.count, received: legal.rowCount)
        }
        guard logits.count == path.count * vocabulary, gradient.count == logits.count else {
            throw .count(
                what: "logits", expected: path.count * vocabulary, received: logits.count)
        }
        var total = LossSum(sum: 0, positions: 0)
        var next = 0
        for (depth, token) in path.enumerated() {
            guard token >= 0, Int(token) < vocabulary else {
                throw .goldNotLegal(depth: depth, token: token)
            }
            var label = SoftLabel(gold: Int(token))
            if next < positions.count, Int(positions[next].depth) == depth {
                label.alpha = alpha(at: positions[next], settings)
                let tokens = legal.tokens[legal.row(next)]
                if label.alpha > 0 {
                    label.teacher = distribution(at: positions[next], over: tokens)
                    label.slots = Array(tokens)
                }
                next += 1
            }
            let row = depth * vocabulary..<(depth + 1) * vocabulary
            total.sum += try softLabelLoss(
                settings.loss, logits: logits, row: row, label: label,
                temperature: settings.temperature, weight: weight, gradient: &gradient)
            total.positions += 1
        }
        return total
    }
}
