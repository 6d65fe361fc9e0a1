// LLM-TRSR's recommender (section 3.7 to 3.9 of the method): a decoder is asked whether a user will choose an item, and
// the odds of its word for yes against its word for no are the score.
//
// Prompts of one user differ only at their end. What all of them begin with is run once; the ends run side by side on
// copies of that state. Token by token it is the pass a prompt alone would take.

public import JSONDocuments
public import LanguageModel
public import Summaries
import Tensors
import Tokenization
public import Transformer

public struct PreferenceRanker: Sendable {
    /// With its adapter, where there is one.
    public var model: LanguageModel
    public let prompts: RankingPrompts
    private let template: ChatTemplate
    /// The first tokens of the two answers.
    let yes: Int32
    let no: Int32

    /// Candidates of one request; more are refused before they come here.
    public static let candidatesMax = 1_000

    /// `chatProgram` is the folder's chat template, `document` names it in errors.
    public init(
        _ model: LanguageModel, chatProgram: String, prompts: RankingPrompts = .standard,
        document: String
    ) throws(DocumentError) {
        guard let tokenizer = model.tokenizer else {
            throw DocumentError(document, "it has no tokenizer.json: a ranker reads text")
        }
        template = try ChatTemplate(
            program: chatProgram, tokenizer: tokenizer, document: document)
        guard let yes = tokenizer.encode("yes").first, let no = tokenizer.encode("no").first,
            yes != no
        else {
            throw DocumentError(
                document, at: "tokenizer.json",
                "\"yes\" and \"no\" begin with the same token: no answer can be told from the other"
            )
        }
        (self.yes, self.no) = (yes, no)
        self.model = model
        self.prompts = prompts
    }

    /// Tokens up to where the answer begins. A prompt that the model has no positions for loses its oldest recent
    /// items, then its summary; a candidate that is too long alone is refused.
    public func prompt(_ request: RankingRequest) throws(DecoderError) -> [Int32] {
        var request = request
        while true {
            let tokens = template.prompt([
                ChatMessage(.system, prompts.instruction),
                ChatMessage(.user, prompts.question(request)),
            ])
            if tokens.count <= model.decoder.shape.positionsMax { return tokens }
            if !request.recent.isEmpty {
                request.recent.removeFirst()
            } else if request.summary != nil {
                request.summary = nil
            } else {
                throw .contextFull(
                    rows: 0, added: tokens.count, positionsMax: model.decoder.shape.positionsMax)
            }
        }
    }

    /// The probability of yes, against no, after each of `prompts`, which are not empty. Fastest where they begin
    /// alike.
    public func probabilities(_ prompts: [[Int32]]) throws(DecoderError) -> [Float] {
        guard let shortest = prompts.map(\.count).min() else { return [] }
        guard shortest > 0 else { throw .nothing }
        let shared = min(Self.commonPrefix(prompts), shortest - 1)
        var state = DecoderState(model.decoder.shape)
        var scratch = DecoderScratch()
        for start in stride(from: 0, to: shared, by: Self.prefixRowsMax) {
            let part = Array(prompts[0][start..<min(shared, start + Self.prefixRowsMax)])
            _ = try model.decoder.forward(DecoderInput(part), state: &state, scratch: &scratch)
        }
        var odds: [Float] = []
        var group: [DecoderInput] = []
        var rows = 0
        for prompt in prompts {
            let input = DecoderInput(Array(prompt[shared...]))
            if rows + input.tokens.count > Self.endRowsMax, !group.isEmpty {
                odds += try answers(group, after: state, &scratch)
                (group, rows) = ([], 0)
            }
            group.append(input)
            rows += input.tokens.count
        }
        return odds + (try answers(group, after: state, &scratch))
    }

    /// Rows of one pass: beyond these a pass gains nothing and its memory grows.
    private static let prefixRowsMax = 512
    private static let endRowsMax = 2_048

    private func answers(
        _ inputs: [DecoderInput], after state: DecoderState, _ scratch: inout DecoderScratch
    ) throws(DecoderError) -> [Float] {
        var states = inputs.map { _ in state }
        let hidden = try model.decoder.forward(inputs, states: &states, scratch: &scratch)
        var last = -1
        let rows = inputs.map { input in
            last += input.tokens.count
            return last
        }
        let width = model.decoder.shape.vocabularyCount
        let logits = model.decoder.logits(hidden, rows: rows)
        return try inputs.indices.map { index throws(DecoderError) in
            let (yes, no) = (logits[index * width + Int(yes)], logits[index * width + Int(no)])
            guard yes.isFinite, no.isFinite else { throw DecoderError.notFinite }
            return Float(1 / (1 + Libm.exp(Double(no - yes))))
        }
    }

    /// How many tokens all of them begin with.
    static func commonPrefix(_ prompts: [[Int32]]) -> Int {
        guard let first = prompts.first else { return 0 }
        return prompts.dropFirst().reduce(first.count) { count, prompt in
            let end = min(count, prompt.count)
            return (0..<end).first { prompt[$0] != first[$0] } ?? end
        }
    }
}
