// One refresh, step by step.

import Checkpoints
import Foundation
import Interactions
import ItemModel
import JSONDocuments
import ModelFolders
import Pipeline
import Ports
import Settings
import Synchronization

extension RefreshDesk {
    /// An instance that is gone, without having said so, holds the lease so long.
    private static let leaseMilliseconds: Int64 = 30_000
    private static let lookInterval = Duration.milliseconds(100)
    /// From asking the process to end to making it.
    private static let endMilliseconds = 2_000

    func refreshUnderLease(_ store: AdapterStore) async throws -> Outcome {
        let owner = "\(ProcessInfo.processInfo.hostName)/\(getpid())"
        let token = try await withCheckedThrowingContinuation { continuation in
            lease.takeLease(owner: owner, milliseconds: Self.leaseMilliseconds) {
                continuation.resume(with: $0)
            }
        }
        guard let token else { return .waiting }
        defer { lease.releaseLease(token: token) }
        let turn = try store.takeTurn(token: token)
        defer { turn.end() }
        let folder = "\(store.path)/job.partial"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try await refresh(store, in: folder, token: token)
    }

    private func refresh(
        _ store: AdapterStore, in folder: String, token: Int64
    ) async throws -> Outcome {
        guard let path = model.folder else { return .skipped("no model serves") }
        let before = store.current
        let knownUntil = store.learntUntil(before?.version)
        shown.withLock { $0.enter(.exporting) }
        let counts = try await export(
            to: folder, base: path, adapter: before?.path, knownUntil: knownUntil)
        guard counts.new >= settings.newEventsMin else {
            return .skipped(
                "\(counts.new) new events, refresh.new-events-min is \(settings.newEventsMin)")
        }
        var words = [
            "--model", path, "--data", folder, "--output", "\(folder)/adapter",
            "--status", "\(folder)/status.json", "--niceness", "\(settings.niceness)",
            "--memory-max", "\(settings.memoryBytesMax)",
            "--time-max", "\(settings.timeMax.inSeconds)",
        ]
        if let before { words += ["--previous", before.path] }
        words += knownUntil.map { ["--known-until", "\($0)"] } ?? ["--known-share", "0"]
        let code = try await work(words + settings.options, in: folder, token: token)
        switch (code, RefreshStatus(path: "\(folder)/status.json")) {
        case (0, .passed(let version, let reason, let until)?):
            guard store.current == before, store.pinned == nil else {
                return .failed("what serves was changed meanwhile")
            }
            guard try await renew(token) else { return .failed(Self.stale) }
            let base = try ItemModelFolder(path: path)
            let adapter = try ItemAdapterFolder(path: "\(folder)/adapter", for: base)
            try store.publish(
                adapter, version: version, reason: reason, learntUntil: until, token: token)
            store.prune(keeping: settings.adaptersKept)
            await load()
            guard loaded?.serving == version else {
                let reason = "version \(version) could not be loaded"
                _ = try store.rollBack(to: before?.version ?? AdapterStore.base, reason: reason)
                await load()
                return .failed(reason)
            }
            return .published(version: version)
        case (3, .refused(let reason)?): return .refused(reason)
        default: return .failed(failure(code, log: "\(folder)/log"))
        }
    }

    private static let stale = "the lease was taken by another instance"

    private func renew(_ token: Int64) async throws -> Bool {
        try await withCheckedThrowingContinuation { continuation in
            lease.renewLease(token: token, milliseconds: Self.leaseMilliseconds) {
                continuation.resume(with: $0)
            }
        }
    }

    /// Runs the process to its end; its exit code, or 128 and the signal.
    private func work(
        _ words: [String], in folder: String, token: Int64
    ) async throws -> Int32 {
        let child = try ChildProcess(
            [ChildProcess.ownPath, "refresh"] + words, log: "\(folder)/log")
        defer { child.stop(withinMilliseconds: Self.endMilliseconds) }
        let end = clock.monotonicSeconds + settings.timeMax.inSeconds
        var renewedAt = clock.monotonicSeconds
        while child.isRunning {
            if isStopping { throw CommandFailure("the daemon stops") }
            let now = clock.monotonicSeconds
            guard now < end else {
                throw CommandFailure("it took longer than refresh.time-max \(settings.timeMax)")
            }
            if let status = RefreshStatus(path: "\(folder)/status.json") {
                shown.withLock { $0.follow(status) }
                show()
            }
            if now - renewedAt > Double(Self.leaseMilliseconds) / 3_000 {
                renewedAt = now
                // A store in trouble is asked again; without its word nothing is published.
                if let isOurs = try? await renew(token), !isOurs {
                    throw CommandFailure(Self.stale)
                }
            }
            try? await Task.sleep(for: Self.lookInterval)
        }
        return child.status ?? 0
    }

    private func failure(_ code: Int32, log: String) -> String {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        let said = text.split(whereSeparator: \.isNewline).last.map { ": \($0.prefix(500))" } ?? ""
        return code > 128
            ? "the process was ended by signal \(code - 128) (refresh.memory-max is "
                + "\(settings.memoryBytesMax) bytes)\(said)"
            : "the process ended with code \(code)\(said)"
    }

    // MARK: - The training set

    private func export(
        to folder: String, base: String, adapter: String?, knownUntil: Milliseconds?
    ) async throws -> RefreshExport.Counts {
        let now = clock.wallMilliseconds / 1_000
        let since = now - Int64(settings.window.inSeconds)
        let collector = Collector(
            RefreshExport(
                since: UInt32(clamping: since), until: UInt32(clamping: now),
                eventsMax: settings.eventsMax))
        try await read(into: collector)
        if isStopping { throw CommandFailure("the daemon stops") }
        let items = await catalogue()
        var names: [ItemKey: ItemID] = [:]
        let model = try ItemModelFolder(path: base)
        for item in model.items { names[item.key] = item }
        if let adapter {
            for item in try ItemAdapterFolder(path: adapter, for: model).items {
                names[item.key] = item
            }
        }
        for item in items { names[item.id.key] = item.id }
        return try collector.export.withLock {
            try $0.write(to: folder, names: names, items: items, knownUntil: knownUntil)
        }
    }

    private func read(into collector: Collector) async throws {
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            pipeline.readHistories(
                page: { [self] histories in
                    collector.export.withLock { $0.add(histories) }
                    return !isGivenUp.load(ordering: .relaxed)
                }, done: { continuation.resume(with: $0) })
        }
    }

    func catalogue() async -> [ItemRecord] {
        await withCheckedContinuation { continuation in
            pipeline.catalogueItems { continuation.resume(returning: $0) }
        }
    }

    // MARK: - The judge

    /// Compares what serves with what served before, if it is new, on the events to come.
    func beginJudging() async {
        judge = nil
        guard let store, let path = model.folder else { return }
        let items = await catalogue()
        do throws(DocumentError) {
            let base = try ItemModelFolder(path: path)
            guard base.version == loaded?.base else { return }
            var judge = ShadowJudge(
                serving: try Self.model(base, store.current), base: base, items: items)
            if settings.probation > 0, let version = store.versionOnProbation {
                let before = store.before(version).flatMap(store.adapter)
                judge.begin(
                    version, against: try Self.model(base, before),
                    samples: settings.probation, error: settings.rollBackError)
            }
            self.judge = judge
        } catch { note(.warning, "the model is not watched: \(error)") }
    }

    private static func model(
        _ base: ItemModelFolder, _ adapter: AdapterStore.Adapter?
    ) throws(DocumentError) -> ItemModelFolder {
        guard let adapter else { return base }
        return try base.applying(ItemAdapterFolder(path: adapter.path, for: base))
    }
}

/// Histories being collected on the lane of models.
private final class Collector: Sendable {
    let export: Mutex<RefreshExport>

    init(_ export: RefreshExport) { self.export = Mutex(export) }
}

extension AdapterStore {
    /// The version that serves, if the last decision was to publish it.
    var versionOnProbation: String? {
        let last = (try? ledger())?.last {
            ["published", "rolled back", "pinned"].contains($0.decision)
        }
        guard let last, last.decision == "published", last.version == current?.version else {
            return nil
        }
        return last.version
    }
}
