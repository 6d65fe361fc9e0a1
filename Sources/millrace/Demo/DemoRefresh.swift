// A rung of the tour: a small model learns the shop's first days, serves, and is refreshed once before your eyes by
// what came since.

import Checkpoints
import Evaluation
import Glibc
import JSONDocuments
import KafkaIngest

extension DemoCommand {
    /// Events of the shop that the model is trained on, the oldest.
    private static let trainedShare = 0.6
    private static let epochs = 3

    func refresh(
        catalogue: [BulkRecord], events: [BulkRecord], showing user: String,
        _ client: SocketClient, _ stage: DemoStage, _ signals: inout Signals
    ) throws {
        let clock = SystemClock()
        var start = clock.monotonicSeconds
        func seconds() -> String {
            defer { start = clock.monotonicSeconds }
            return fixed(clock.monotonicSeconds - start, 1)
        }
        say(
            "a small model learns from the oldest \(fixed(Self.trainedShare * 100, 0)) % of the events: millrace train"
        )
        let model = try train(catalogue: catalogue, events: events, stage, &signals)
        try stage.serve(model: model)
        try Wait.until("the model serves", &signals) {
            let info = try StreamInfo(client)
            return (info["model_version"] ?? "loading") != "loading"
                && info["model_items_pending"] == "0"
        }
        let base = try StreamInfo(client)["model_version"] ?? "?"
        let before = try list(of: user, client, mode: "lm")
        say("trained and loaded in \(seconds()) s; version \(base) says: REC.GET \(user) MODE lm")
        show(before)
        say("it learns what came since, while it serves: MODEL.REFRESH")
        _ = try client.ask("MODEL.REFRESH")
        try follow(client, &signals)
        let info = try StreamInfo(client)
        guard info["refresh_last_result"] == "published" else {
            say(
                "not published (\(info["refresh_last_result"] ?? "?")), \(base) stays: "
                    + Terminal.harmless(info["refresh_last_reason"] ?? ""))
            return
        }
        say(
            "the gate passed it after \(seconds()) s: version \(info["model_version"] ?? "?") serves now, "
                + "and MODEL.ROLLBACK would go back")
        show(try list(of: user, client, mode: "lm"), before: before)
    }

    /// Trains in a process of its own; returns the model's folder.
    private func train(
        catalogue: [BulkRecord], events: [BulkRecord], _ stage: DemoStage,
        _ signals: inout Signals
    ) throws -> String {
        let data = "\(stage.folder)/shop"
        let model = "\(stage.folder)/model"
        try makeFolder(data)
        for (name, records) in [("items", catalogue), ("events", events)] {
            let file = try FileWriter("\(data)/\(name).jsonl")
            for record in records { try file.write((record.payload ?? []) + [UInt8(ascii: "\n")]) }
            try file.finish()
        }
        let progress = ProgressLine("training", total: Self.epochs)
        let child = try ChildProcess(
            [
                ChildProcess.ownPath, "train", "--data", data, "--out", model, "--data-share",
                "\(Self.trainedShare)", "--epochs", "\(Self.epochs)", "--answer-weight", "0",
                "--vocabulary", "1000", "--negatives", "256",
            ], log: "\(stage.folder)/train.log")
        do {
            try Wait.until("the model is trained", &signals) {
                let curve = try? readDocument("\(model)/training.json")
                progress.update((try? curve?.member("epochs").elements().count) ?? 0)
                return !child.isRunning
            }
        } catch {
            child.stop(withinMilliseconds: 1_000)
            throw error
        }
        progress.finish()
        guard child.status == 0 else {
            throw CommandFailure("millrace train failed: see \(stage.folder)/train.log")
        }
        return model
    }

    /// Shows how far the refresh is until it has ended.
    private func follow(_ client: SocketClient, _ signals: inout Signals) throws {
        var shown = ""
        var progress: ProgressLine?
        try Wait.until("the refresh has ended", &signals) {
            let info = try StreamInfo(client)
            let state = info["refresh_state"] ?? "idle"
            if state != shown {
                progress?.finish()
                let steps = info["refresh_steps"].flatMap { Int($0) } ?? 0
                progress = steps > 0 ? ProgressLine("    \(state)", total: steps) : nil
                if state != "idle" { Terminal.line("    \(state) ...") }
            }
            progress?.update(info["refresh_step"].flatMap { Int($0) } ?? 0)
            shown = state
            return state == "idle"
        }
    }
}
