// Refreshes that the daemon makes itself, and who decides which version serves.
//
// One refresh is a line of steps: the lease, the turn of the folder, the stored histories as a log, a process that
// learns and judges, and only then the link to what serves. Until that last step nothing that serves is touched, so a
// process or a daemon killed anywhere leaves the version before, and a folder that goes at the next start.

import Foundation
import Lanes
import ModelFolders
import Pipeline
import Ports
import Settings
import Synchronization

actor RefreshDesk {
    /// What became of a refresh.
    enum Outcome: Equatable {
        case published(version: String)
        case refused(String)
        /// There was nothing to do.
        case skipped(String)
        /// Another instance refreshes.
        case waiting
        case failed(String)
    }

    nonisolated private let lane = Lane(name: "refresh", niceness: 10)
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe lane.asUnownedSerialExecutor()
    }

    let pipeline: Pipeline
    let loader: ModelLoader
    let lease: any LeaseStore
    let observer: any Observer
    let clock: any Clock
    var model: ModelSettings
    var settings: RefreshSettings
    /// The model's version without an adapter, and with the one that serves; nil until one is loaded.
    var loaded: ModelLoader.Versions?
    var judge: ShadowJudge?
    var isStopping = false
    private var schedule: RefreshSchedule
    private var eventCount: UInt64 = 0
    private var eventCountAtEnd: UInt64 = 0
    private var work: Task<Void, Never>?
    private var isLoading = false
    /// What is current and could not be loaded: it is not tried again every second.
    private var unloadable: String?
    /// Stops an export from outside of its lane.
    nonisolated let isGivenUp = Atomic(false)
    /// For `INFO`, from any thread.
    nonisolated let shown = Mutex(RefreshShown())

    init(
        model: ModelSettings, refresh: RefreshSettings, pipeline: Pipeline, loader: ModelLoader,
        lease: any LeaseStore, observer: any Observer, clock: any Clock
    ) {
        self.model = model
        settings = refresh
        self.pipeline = pipeline
        self.loader = loader
        self.lease = lease
        self.observer = observer
        self.clock = clock
        schedule = RefreshSchedule(
            settings: refresh, lastEnd: Double(clock.wallMilliseconds) / 1_000)
    }

    /// Nil before the model is loaded, and without a folder of adapters.
    var store: AdapterStore? {
        guard let adapters = model.adapters, let loaded else { return nil }
        return AdapterStore(folder: adapters, baseVersion: loaded.base)
    }

    func note(
        _ severity: Observation.Severity, _ text: String, _ fields: [(String, String)] = []
    ) { observer.observe(.note(severity, text, fields)) }

    // MARK: - What serves

    /// Loads what the settings name, at the start and at a reload.
    func configure(_ model: ModelSettings, _ refresh: RefreshSettings) async {
        self.model = model
        settings = refresh
        schedule.settings = refresh
        unloadable = nil
        await load()
        guard let store else { return }
        if work == nil { store.cleanUp() }
        if let end = store.lastRefreshEnd { schedule.lastEnd = end }
    }

    /// Has the pipeline serve what is current; the version before serves until then.
    func load() async {
        isLoading = true
        defer { isLoading = false }
        let versions = await withCheckedContinuation { continuation in
            loader.load(model) { continuation.resume(returning: $0) }
        }
        guard let versions else {
            unloadable = store?.current?.version ?? loaded?.base
            return
        }
        loaded = versions
        await beginJudging()
        show()
    }

    // MARK: - The stream

    func take(_ pulse: RefreshPulse) async {
        eventCount = pulse.eventCount
        schedule.eventCount = Int(clamping: eventCount - min(eventCount, eventCountAtEnd))
        guard !isStopping, !isLoading, let store, let loaded else { return }
        let current = store.current?.version ?? loaded.base
        if current != loaded.serving, current != unloadable {
            // Changed by another instance, or by `millrace model`.
            return await load()
        }
        if let finding = judge?.judge(pulse.samples) { await act(on: finding, store) }
        schedule.drift = judge?.drift
        show()
        beginIfDue(store)
    }

    private func beginIfDue(_ store: AdapterStore) {
        guard work == nil, store.pinned == nil, schedule.reason(now: wallSeconds) != nil else {
            return
        }
        // Perhaps another instance has, in the same folder.
        schedule.lastEnd = max(schedule.lastEnd, store.lastRefreshEnd ?? 0)
        if let reason = schedule.reason(now: wallSeconds) { begin(reason, store) }
    }

    private var wallSeconds: Double { Double(clock.wallMilliseconds) / 1_000 }

    private func act(on finding: ShadowJudge.Finding, _ store: AdapterStore) async {
        switch finding {
        case .kept: note(.info, "the adapter has passed its probation")
        case .worse(let reason):
            do {
                let version = try store.rollBack(to: nil, reason: reason) ?? AdapterStore.base
                shown.withLock { $0.rolledBackCount += 1 }
                note(
                    .warning, "went back to the model before",
                    [("version", version), ("reason", reason)])
                await load()
            } catch { note(.error, "could not go back to the model before: \(error)") }
        }
    }

    // MARK: - Refreshes

    var isRefreshing: Bool { work != nil }

    func begin(_ reason: String, _ store: AdapterStore) {
        shown.withLock { $0.begin(reason, at: clock.wallMilliseconds) }
        note(.info, "a refresh begins", [("reason", reason)])
        work = Task { await run(store) }
    }

    private func run(_ store: AdapterStore) async {
        let started = clock.monotonicSeconds
        let outcome: Outcome
        do {
            outcome = try await refreshUnderLease(store)
        } catch {
            outcome = .failed("\(error)")
        }
        switch outcome {
        case .published(let version):
            note(.notice, "a refresh was published", [("version", version)])
        case .refused(let reason):
            ledger(store, "refused", reason)
            note(.notice, "a refresh was refused: what serves stays", [("reason", reason)])
        case .skipped(let reason): note(.info, "no refresh: \(reason)")
        case .waiting: note(.info, "no refresh now: another instance refreshes")
        case .failed(let reason):
            if !isStopping { ledger(store, "failed", reason) }
            note(.warning, "a refresh failed: what serves stays", [("reason", reason)])
        }
        shown.withLock {
            $0.end(outcome, at: clock.wallMilliseconds, seconds: clock.monotonicSeconds - started)
        }
        if outcome == .waiting {
            schedule.waitAgain(now: wallSeconds)
        } else {
            schedule.lastEnd = wallSeconds
            eventCountAtEnd = eventCount
            schedule.eventCount = 0
        }
        work = nil
        show()
    }

    private func ledger(_ store: AdapterStore, _ decision: String, _ reason: String) {
        do {
            try store.note(decision, version: store.current?.version, reason)
        } catch { note(.warning, "the ledger of adapters cannot be written: \(error)") }
    }

    /// Ends a refresh under way and waits for it.
    func stop() async {
        isStopping = true
        isGivenUp.store(true, ordering: .relaxed)
        await work?.value
    }

    /// After `stop`.
    nonisolated func endLane() { lane.finish() }

    // MARK: - What is shown

    func show() {
        let store = store
        let loaded = loaded
        let judge = judge
        let pinned = store?.pinned
        let view = shown.withLock { shown in
            shown.serving = loaded?.serving
            shown.pinned = pinned
            shown.sampleCount = judge?.sampleCount ?? 0
            shown.gain = judge?.latestGain
            shown.drift = judge?.drift
            shown.probationLeft = judge?.probation?.left
            return shown
        }
        for (name, value) in view.gauges { observer.observe(.gauge(name, value)) }
    }
}

extension AdapterStore {
    /// When the last refresh ended, whatever came of it, in seconds since 1970.
    var lastRefreshEnd: Double? {
        let last = (try? ledger())?.last {
            ["published", "refused", "failed"].contains($0.decision)
        }
        return last?.time.map { max(0, $0.timeIntervalSince1970) }
    }
}
