// The most likely items without scoring all: beam search over branching prefixes. Only complete catalogue paths come
// out, scores are plain sums of log-probabilities (length normalisation rewards paths of many near-certain tokens: D3,
// arXiv 2406.14900), and forced tokens cost neither a step nor a place in the beam.
//
// Complete paths stay in the beam with their final score; since a sum of log-probabilities only falls, what is pushed
// out by a complete path could not have come back below the beam's last.

/// Open hypotheses of one step, for the model to answer together.
public struct BeamQuestion: Sendable {
    /// For each row the hypothesis it continues: its row in the question before; -1 in the first one.
    public internal(set) var parents: [Int32] = []
    /// For each row the tokens to feed since that row's prefix.
    public internal(set) var runs: [[Int32]] = []
    /// For each row the tokens of the prefix so far.
    public internal(set) var depths: [Int32] = []
    /// For each row the tokens that may follow.
    public internal(set) var legal = LegalTokens()
}

/// A path found, with all items that have it.
public struct BeamResult: Sendable, Equatable {
    /// By ascending number.
    public let items: [Int32]
    public let path: [Int32]
    public let logLikelihood: Double
}

/// The `width` most likely paths, best first; equal likelihoods in order of path.
///
/// `answer` gets the open hypotheses and returns log-probabilities of `legal.tokens`, each row normalised over itself.
/// With a width of at least the number of paths the result is the exact enumeration.
public func beamSearch(
    _ trie: CatalogueTrie, width: Int, answer: (BeamQuestion) -> [Float]
) throws(TrieError) -> [BeamResult] {
    guard 1...TrieLimits.beamWidthMax ~= width else { throw .beamWidth(width) }
    guard trie.count > 0 else { return [] }
    var first = Hypothesis(path: [], node: trie.root, score: 0, row: -1, fed: 0)
    first.node = trie.followForced(first.node, appending: &first.path)
    first.isComplete = trie.isComplete(first.node)
    var beam = [first]
    while true {
        let question = ask(&beam, trie)
        if question.runs.isEmpty { break }
        let answers = answer(question)
        guard answers.count == question.legal.tokens.count else {
            throw .answerCount(expected: question.legal.tokens.count, received: answers.count)
        }
        beam = try step(beam, question, answers, trie, width)
    }
    return beam.map {
        BeamResult(items: trie.items(below: $0.node), path: $0.path, logLikelihood: $0.score)
    }
}

private struct Hypothesis {
    var path: [Int32]
    var node: TrieNode
    var score: Double
    /// Row in the latest question; -1 when it was not in one.
    var row: Int32
    /// Tokens of the path that the model had been given there.
    var fed: Int
    var isComplete = false
}

/// The question about all open hypotheses; notes their rows.
private func ask(_ beam: inout [Hypothesis], _ trie: CatalogueTrie) -> BeamQuestion {
    var question = BeamQuestion()
    for index in beam.indices where !beam[index].isComplete {
        question.parents.append(beam[index].row)
        question.runs.append(Array(beam[index].path[beam[index].fed...]))
        question.depths.append(Int32(beam[index].node.depth))
        question.legal.append(beam[index].node, of: trie)
        beam[index].row = Int32(question.runs.count - 1)
        beam[index].fed = beam[index].path.count
    }
    return question
}

/// A continuation that may enter the next beam; complete hypotheses continue as themselves.
private struct Continuation {
    var score: Double
    var parent: Int
    /// -1 for a complete hypothesis.
    var token: Int32
}

private func step(
    _ beam: [Hypothesis], _ question: BeamQuestion, _ answers: [Float], _ trie: CatalogueTrie,
    _ width: Int
) throws(TrieError) -> [Hypothesis] {
    var all: [Continuation] = []
    for (index, hypothesis) in beam.enumerated() {
        guard !hypothesis.isComplete else {
            all.append(Continuation(score: hypothesis.score, parent: index, token: -1))
            continue
        }
        for slot in question.legal.row(Int(hypothesis.row)) {
            guard !answers[slot].isNaN else { throw .notANumber(depth: hypothesis.node.depth) }
            all.append(
                Continuation(
                    score: hypothesis.score + Double(answers[slot]), parent: index,
                    token: question.legal.tokens[slot]))
        }
    }
    // No path is the beginning of another, so two continuations differ at their parents' first difference or token.
    all.sort { left, right in
        if left.score != right.score { return left.score > right.score }
        if left.parent == right.parent { return left.token < right.token }
        return path(left, beam).lexicographicallyPrecedes(path(right, beam))
    }
    return all.prefix(width).map { continuation in
        var next = beam[continuation.parent]
        guard continuation.token >= 0, let child = trie.child(next.node, continuation.token) else {
            return next
        }
        next.score = continuation.score
        next.path.append(continuation.token)
        next.node = trie.followForced(child, appending: &next.path)
        next.isComplete = trie.isComplete(next.node)
        return next
    }
}

private func path(_ continuation: Continuation, _ beam: [Hypothesis]) -> [Int32] {
    let path = beam[continuation.parent].path
    return continuation.token < 0 ? path : path + [continuation.token]
}
