// Text after text: tokens drawn one by one and fed back.

/// How far to go.
public struct GenerationLimits: Sendable, Equatable {
    /// New tokens, at most.
    public var countMax: Int
    /// Any of these ends the text and is not part of it.
    public var stopTokens: Set<Int32>

    public init(countMax: Int, stopTokens: Set<Int32> = []) {
        precondition(countMax >= 0, "a number of tokens")
        self.countMax = countMax
        self.stopTokens = stopTokens
    }
}

/// What came of it.
public struct Generation: Sendable, Equatable {
    public enum End: Sendable, Equatable {
        case stopToken(Int32)
        case countMax
        /// The model has no more positions.
        case contextFull
        /// The receiver wanted no more.
        case cancelled
    }

    public var tokens: [Int32]
    public var end: End

    public init(tokens: [Int32], end: End) {
        self.tokens = tokens
        self.end = end
    }
}

extension Decoder {
    /// Rows of one pass over a prompt: beyond this, a pass gains nothing and its memory grows.
    static let prefillRowsMax = 512

    /// Feeds `prompt` to the state and draws tokens, each given to `receive` as it comes; false from there ends. They
    /// belong to segment `segment`, else to the prompt's last. The state then holds the prompt and all of them but the
    /// last. A prompt that does not fit is an error; reaching the model's positions later is an end.
    public func generate(
        _ prompt: DecoderInput, segment: Int32? = nil, state: inout DecoderState,
        sampling: Sampling = .greedy, limits: GenerationLimits, scratch: inout DecoderScratch,
        receive: (Int32) -> Bool = { _ in true }
    ) throws(DecoderError) -> Generation {
        let open = prompt.segments.last ?? state.segment
        let segments = [segment ?? open]
        guard segments[0] >= open else { throw .segmentBefore(segments[0], open: open) }
        var scores = try prefill(prompt, state: &state, scratch: &scratch)
        var tokens: [Int32] = []
        while tokens.count < limits.countMax {
            let token = try sampling.token(scores.span, step: tokens.count)
            if limits.stopTokens.contains(token) {
                return Generation(tokens: tokens, end: .stopToken(token))
            }
            tokens.append(token)
            if !receive(token) { return Generation(tokens: tokens, end: .cancelled) }
            if tokens.count == limits.countMax { break }
            if state.rows >= shape.positionsMax {
                return Generation(tokens: tokens, end: .contextFull)
            }
            scores = try forward(
                DecoderInput([token], segments: segments), state: &state, scratch: &scratch)
        }
        return Generation(tokens: tokens, end: .countMax)
    }

    /// Feeds a prompt of any length in parts; returns the logits of its last row.
    public func prefill(
        _ prompt: DecoderInput, state: inout DecoderState, scratch: inout DecoderScratch
    ) throws(DecoderError) -> [Float] {
        let count = prompt.tokens.count
        // All or nothing: the last part must not be the first to be refused.
        guard count > 0 else { throw .nothing }
        guard state.rows + count <= shape.positionsMax else {
            throw .contextFull(
                rows: state.rows, added: count, positionsMax: shape.positionsMax)
        }
        var scores: [Float] = []
        for start in stride(from: 0, to: count, by: Self.prefillRowsMax) {
            let part = start..<min(start + Self.prefillRowsMax, count)
            let input = DecoderInput(
                Array(prompt.tokens[part]),
                segments: prompt.segments.isEmpty ? [] : Array(prompt.segments[part]))
            scores = try forward(input, state: &state, scratch: &scratch)
        }
        return scores
    }
}
