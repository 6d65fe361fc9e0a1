// `millrace eval --ranker`: the task and the figures of LLM-TRSR.

import Checkpoints
import Evaluation
import JSONDocuments
import LanguageModel
import PreferenceRanking
import Tensors
import Transformer

extension EvalCommand {
    func judge(ranker path: String) throws {
        setLinearAlgebraThreads(1)
        let set = try rankerData.data(data, isOffice: order == .office, trainCount: 0, seed: 1)
        var model = try LanguageModel(folder: path)
        if let adapter {
            model.decoder.adapter = try DecoderAdapter(
                Adapter(folder: adapter, for: model.configuration), shape: model.decoder.shape)
        }
        let ranker = try PreferenceRanker(
            model, chatProgram: try chatProgram(folder: path), document: path)
        var progress = ProgressBar("judging", total: set.test.count)
        let trial = try RankerTrial(ranker, set, set.test) { progress.update($0) }
        progress.finish()
        let popularity = RankerTrial(popularity: set, set.test)
        guard json else {
            print(
                "\(grouped(set.test.count)) choices, each among \(RankerData.othersJudged) drawn items"
            )
            print("ranker:     \(trial.text)")
            print("popularity: \(popularity.text)")
            return
        }
        print(
            String(
                decoding: JSONDocuments.JSONValue.members([
                    "cases": .integer(Int64(set.test.count)),
                    "others": .integer(Int64(RankerData.othersJudged)),
                    "ranker": trial.document, "popularity": popularity.document,
                ]).serialised(), as: UTF8.self))
    }
}
