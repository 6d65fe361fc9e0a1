// Text in, text out.

import Checkpoints
import Tokenization
public import Transformer

extension LanguageModel {
    /// What the folder says that ends a text, with no bound on it but `countMax`.
    public func limits(countMax: Int) -> GenerationLimits {
        GenerationLimits(countMax: countMax, stopTokens: Set(configuration.endTokens))
    }

    /// Continues `prompt`, which is fed to `state`; `receive` is given each piece of text as soon as its characters are
    /// whole, and ends the text by returning false. The pieces joined are the text of the tokens returned. A model
    /// without a tokenizer has no text, and `receive` is not called.
    public func generate(
        _ prompt: DecoderInput, segment: Int32? = nil, state: inout DecoderState,
        sampling: Sampling = .greedy, limits: GenerationLimits, scratch: inout DecoderScratch,
        receive: (String) -> Bool
    ) throws(DecoderError) -> Generation {
        guard let tokenizer else {
            return try decoder.generate(
                prompt, segment: segment, state: &state, sampling: sampling, limits: limits,
                scratch: &scratch)
        }
        var stream = StreamDecoder(tokenizer)
        let made = try decoder.generate(
            prompt, segment: segment, state: &state, sampling: sampling, limits: limits,
            scratch: &scratch
        ) { token in
            let piece = stream.append(token)
            return piece.isEmpty || receive(piece)
        }
        let rest = stream.finish()
        if made.end != .cancelled, !rest.isEmpty { _ = receive(rest) }
        return made
    }
}
