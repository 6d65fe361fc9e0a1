// One training in its folder: the epochs so far, the best of them, what it needs to go on after an interruption, and
// the curve that shows how it went.

import Checkpoints
import Evaluation
import Glibc
import ItemModel
import JSONDocuments

struct TrainingRun {
    struct Row {
        var epoch: Int
        var loss: Double
        var answerLoss: Double
        var seconds: Double
        var hitRate: Double
        var gain: Double

        var text: String {
            "epoch \(epoch): loss of items \(fixed(loss, 4)), of answers \(fixed(answerLoss, 4)), "
                + "validation HR@10 \(fixed(hitRate, 4)), "
                + "NDCG@10 \(fixed(gain, 4)), \(fixed(seconds, 1)) s"
        }
    }

    private(set) var rows: [Row] = []
    private let folder: String
    private let fingerprint: String

    private static let names = ["values", "identity", "m", "v", "identity_m", "identity_v"]

    private var stateFile: String { "\(folder)/training.safetensors" }
    private var rowsFile: String { "\(folder)/training.json" }

    init(folder: String, fingerprint: String) throws {
        self.folder = folder
        self.fingerprint = fingerprint
    }

    var best: Row? { rows.max { $0.gain < $1.gain } }

    /// Adds an epoch; true when it is the best so far.
    mutating func add(_ row: Row) -> Bool {
        let isBest = rows.allSatisfy { $0.gain < row.gain }
        rows.append(row)
        return isBest
    }

    func isOver(patience: Int, epochsMax: Int) -> Bool {
        guard let best, let last = rows.last else { return false }
        return last.epoch >= epochsMax || last.epoch - best.epoch >= patience
    }

    // MARK: - Files

    /// Goes on where the same training was interrupted.
    mutating func resume(_ trainer: ItemTrainer) throws {
        guard fileExists(stateFile), fileExists(rowsFile) else { return }
        let root = try readDocument(rowsFile)
        guard try root.member("fingerprint").text() == fingerprint else {
            throw CommandFailure(
                "\(folder) holds a training with other options or data; remove it or choose another --out"
            )
        }
        let file = try SafetensorsFile(path: stateFile)
        var arrays: [[Float]] = []
        for name in Self.names {
            guard let entry = file[name] else {
                throw CommandFailure(
                    "\(stateFile): \(name) is missing; remove the file to begin anew")
            }
            arrays.append(try file.floats(entry))
        }
        rows = try root.member("epochs").elements().map { node in
            Row(
                epoch: try node.member("epoch").integer(in: 1...1_000),
                loss: try node.member("loss").real(in: -1e9...1e9),
                answerLoss: try node.member("answer_loss").real(in: -1e9...1e9),
                seconds: try node.member("seconds").real(in: 0...1e9),
                hitRate: try node.member("hit_rate").real(in: 0...1),
                gain: try node.member("ndcg").real(in: 0...1))
        }
        let progress = ItemTrainer.Progress(
            epoch: rows.last?.epoch ?? 0,
            step: try root.member("step").integer(in: 0...Int(Int32.max)),
            values: arrays[0], identity: arrays[1], m: arrays[2], v: arrays[3],
            identityM: arrays[4], identityV: arrays[5])
        guard trainer.resume(progress) else {
            throw CommandFailure("\(stateFile) is of another training; remove it to begin anew")
        }
        print("going on after epoch \(progress.epoch)")
    }

    func save(_ trainer: ItemTrainer) throws {
        let progress = trainer.progress
        let arrays = [
            progress.values, progress.identity, progress.m, progress.v, progress.identityM,
            progress.identityV,
        ]
        try writeSafetensors(
            zip(Self.names, arrays).map { NamedTensor($0, shape: [$1.count], values: $1) },
            to: stateFile)
        try replaceFile(rowsFile, with: document(step: progress.step).serialised(.indented))
        try writeChart()
    }

    /// What is only for going on goes.
    func finish() { unsafe unlink(stateFile) }

    private func document(step: Int) -> JSONDocuments.JSONValue {
        let epochs = rows.map { row in
            JSONDocuments.JSONValue.members([
                "epoch": .integer(Int64(row.epoch)), "loss": .real(row.loss),
                "answer_loss": .real(row.answerLoss),
                "seconds": .real(row.seconds), "hit_rate": .real(row.hitRate),
                "ndcg": .real(row.gain),
            ])
        }
        return .members([
            "fingerprint": .string(fingerprint), "step": .integer(Int64(step)),
            "epochs": .array(epochs),
        ])
    }

    private func writeChart() throws {
        func series(_ name: String, _ value: (Row) -> Double) -> SVGChart.Series {
            SVGChart.Series(
                name: name,
                points: rows.map { SVGChart.Point(x: Double($0.epoch), y: value($0)) },
                hasDots: true)
        }
        let largest = rows.map(\.loss).max() ?? 1
        let chart = SVGChart(
            title: "Training",
            note: "Loss as a share of the first epoch's; metrics on the newest events.",
            xLabel: "epoch", yLabel: "",
            series: [
                series("loss", { $0.loss / largest }), series("HR@10", \.hitRate),
                series("NDCG@10", \.gain),
            ])
        let file = try FileWriter("\(folder)/training.svg")
        try file.write(chart.svg.utf8)
        try file.finish()
    }
}
