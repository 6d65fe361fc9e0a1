// The whole daemon, several of them, under one seed: logs, a store, crashes, zombies, rebalances, lost writes,
// trouble reading.
//
// The world plays broker and store; the coordinators are the real ones. After the storm everything is delivered, and
// the final state must be that of a plain fold of the logs (promises G1, G7, G9).

import Combiner
public import Interactions
public import Pipeline
public import Ports
import Recommender
import Summaries
public import Teachers
import TestKit

/// How likely each fault is, per step; drawn per run so that runs differ in kind (swarm).
public struct FaultWeights: Sendable {
    public var crash = 0.0
    public var rebalance = 0.0
    public var zombie = 0.0
    public var lostWrites = 0.0
    public var readTrouble = 0.0
    public var redelivery = 0.0
    public var lostCheckpoint = 0.002

    public init() {}

    static func drawn(_ random: inout SeededRandom) -> FaultWeights {
        var weights = FaultWeights()
        weights.crash = random.chance(0.5) ? 0.004 : 0
        weights.rebalance = random.chance(0.6) ? 0.01 : 0
        weights.zombie = random.chance(0.5) ? 0.006 : 0
        weights.lostWrites = random.chance(0.3) ? 0.002 : 0
        weights.readTrouble = random.chance(0.4) ? 0.05 : 0
        weights.redelivery = random.chance(0.5) ? 0.02 : 0
        return weights
    }
}

public final class World {
    public private(set) var store = SimulatedStore()
    let logs: [[RecordBatch.Entry]]
    let configuration: PipelineConfiguration
    public let faults: FaultWeights
    var random: SeededRandom
    /// Draws of faults that came later: the fixed seeds keep their worlds.
    var laterRandom: SeededRandom
    var writerRandom: SeededRandom
    public var instances: [SimulatedInstance] = []
    /// Who the group says owns a partition.
    var owner: [PartitionIndex: Int] = [:]
    /// Zombies hear of their loss only later.
    var unheard: [(instance: Int, partition: PartitionIndex)] = []
    var savedStore: SimulatedStore?
    var incarnation = 1
    var time: Milliseconds = 0
    public private(set) var faultCount = 0
    /// Items that every instance finds when it starts.
    public var catalogue: [(id: ItemID, json: [UInt8])] = []

    public init(
        seed: UInt64, logs: [[RecordBatch.Entry]], instances count: Int,
        configuration: PipelineConfiguration
    ) {
        random = SeededRandom(seed: seed)
        laterRandom = SeededRandom(seed: ~seed)
        writerRandom = SeededRandom(seed: seed &* 3)
        faults = FaultWeights.drawn(&random)
        self.logs = logs
        self.configuration = configuration
        for name in 0..<count { start(name) }
        for partition in logs.indices { assign(PartitionIndex(partition), to: random.below(count)) }
    }

    private func start(_ name: Int) {
        let instance = SimulatedInstance(name: name, configuration)
        if name < instances.count { instances[name] = instance } else { instances.append(instance) }
        let partitions = Int32(logs.count)
        tellIncarnation(instance)
        instance.post(.log) {
            $0.sourceReady(interactionPartitions: partitions, itemPartitions: 1)
        }
    }

    private func tellIncarnation(_ instance: SimulatedInstance) {
        let health = StoreHealth(incarnation: "\(incarnation)")
        instance.post(.reads) { $0.storeHealthChanged(health) }
    }

    private func assign(_ partition: PartitionIndex, to name: Int) {
        owner[partition] = name
        instances[name].assigned.insert(partition)
        instances[name].post(.log) { $0.partitionsAssigned([partition]) }
    }

    // MARK: - Running

    /// Runs `steps` stormy steps, then calm ones until everything is applied and quiet. Returns what went wrong, if
    /// anything.
    public func run(stormySteps steps: Int) -> String? {
        for _ in 0..<steps {
            injectFault()
            step(stormy: true)
            if let reason = failure { return reason }
        }
        for name in instances.indices { deliverUnheard(of: name) }
        var calm = 0
        while calm < 200_000 {
            step(stormy: false)
            if let reason = failure { return reason }
            if isDone { return nil }
            calm += 1
        }
        return "the world did not come to rest"
    }

    private var failure: String? {
        instances.compactMap { instance in instance.failure.map { "\(instance.name): \($0)" } }
            .first
    }

    /// Everything is committed, everybody knows of it, nothing is on its way.
    private var isDone: Bool {
        for (index, log) in logs.enumerated() where !log.isEmpty {
            let last = log[log.count - 1].offset + 1
            guard store.partitions[PartitionIndex(index)]?.nextOffset == last else { return false }
        }
        return instances.allSatisfy { instance in
            store.partitions.allSatisfy { index, entry in
                let newest = entry.deltas.last?.sequence ?? entry.trimmed
                return instance.coordinator.appliedSequence(of: index) >= newest
            }
        } && instances.allSatisfy { $0.wires[.writes]?.isEmpty ?? true }
    }

    private func step(stormy: Bool) {
        time += 10
        let instance = instances[random.below(instances.count)]
        switch random.below(10) {
        case 0: deliver(to: instance) { $0.tick() }
        case 1...3: feed(instance)
        default:
            let wire = SimulatedInstance.Wire.allCases[random.below(3)]
            if instance.wires[.writer]?.isEmpty == false, writerRandom.chance(0.1),
                let message = instance.wires[.writer]?.removeFirst()
            {
                deliver(to: instance, message)
            }
            guard instance.wires[wire]?.isEmpty == false,
                let message = instance.wires[wire]?.removeFirst()
            else { return }
            deliver(to: instance, message)
        }
    }

    private func deliver(to instance: SimulatedInstance, _ message: (Coordinator) -> Void) {
        instance.coordinator.now = time
        instance.coordinator.wall = time
        message(instance.coordinator)
        for action in instance.coordinator.takeActions() { perform(action, of: instance) }
    }

    /// The source reads a run of records and puts it on the wire.
    private func feed(_ instance: SimulatedInstance) {
        guard let partition = instance.positions.keys.sorted().randomElement(using: &random),
            let position = instance.positions[partition]
        else { return }
        let log = logs[Int(partition)]
        var first = position
        if random.chance(faults.redelivery) {
            first = max(-1, position - Offset(random.below(20)))
        }
        let start = max(first, 0)
        let end = min(Offset(log.count), max(position, 0) + 1 + Offset(random.below(30)))
        guard start < end else { return }
        let batch = RecordBatch(
            partition: partition, firstOffset: first,
            entries: Array(log[Int(start)..<Int(end)]), nextOffset: end,
            recordCount: Int(end - start))
        instance.positions[partition] = end
        instance.post(.log) { $0.received(batch) }
    }

    /// The lane of models: solves at once and says so later, unless something goes wrong.
    private func performOnModels(_ action: Action, of instance: SimulatedInstance) {
        let trouble = laterRandom.chance(0.1)
        let unavailable = PortError(.unavailable, "simulated trouble")
        switch action {
        case .loadModel(let blank, let known, let ticket):
            let stored = store.models[blank.name].flatMap { $0.version > known ? $0 : nil }
            let loaded = LoadedModel(stored, as: blank)
            instance.post(.reads) {
                $0.modelLoaded(
                    blank.name, ticket, trouble ? .failure(unavailable) : .success(loaded))
            }
        case .saveModel(let teacher, let known, let ticket):
            if known == "\(incarnation)", !trouble {
                store.save(
                    StoredModel(
                        name: teacher.name, version: teacher.version, chunks: [teacher.encoded()]))
            }
            instance.post(.writes) {
                $0.modelSaved(teacher.name, ticket, trouble ? .failure(unavailable) : .success(0))
            }
        case .solve(let order):
            let result: Result<any Teacher, SolveTrouble>
            if trouble {
                result = .failure(.store(unavailable))
            } else {
                do throws(SolveFailure) {
                    result = .success(
                        try order.teacher.solved(
                            from: material(for: order), progress: { _ in true }))
                } catch {
                    result = .failure(.solve(error))
                }
            }
            instance.post(.reads) {
                $0.solved(order.teacher.name, order.ticket, result, seconds: 0)
            }
        case .loadExternal(_, let ticket):
            instance.post(.reads) {
                $0.modelLoaded(ExternalTeacher.name, ticket, .success(.nothingNewer))
            }
        default: break
        }
    }

    /// The writer of summaries: answers, fails, answers twice, late, or never.
    private func write(_ job: SummaryJob, for instance: SimulatedInstance) {
        let text = ScriptedWriter.text(job.request)
        func answer(_ result: Result<String, SummaryFailure>) {
            instance.post(.writer) { $0.summarised(job.id, result) }
        }
        switch writerRandom.below(10) {
        case 0: answer(.failure(.unavailable("simulated trouble")))
        case 1: answer(.success(""))
        case 2: break
        case 3:
            answer(.success(text))
            answer(.success(text))
        default: answer(.success(text))
        }
    }

    private func material(for order: SolveOrder) -> TeacherMaterial {
        var histories = Histories()
        for partition in store.partitions.values {
            for blob in partition.users.sorted(by: { $0.key < $1.key }).map(\.value) {
                guard let state = try? UserState(decoding: blob) else { continue }
                histories.append(state, rules: configuration.engine.history)
            }
        }
        return TeacherMaterial(
            statistics: order.statistics, histories: histories, version: order.version)
    }

    private func perform(_ action: Action, of instance: SimulatedInstance) {
        let trouble = random.chance(faults.readTrouble)
        let unavailable = PortError(.unavailable, "simulated trouble")
        switch action {
        case .prepare: instance.post(.writes) { $0.prepared(.success(())) }
        case .loadCatalogue:
            let catalogue = catalogue
            instance.post(.reads) {
                $0.catalogueLoaded(.success(StoredCatalogue(items: catalogue, nextOffsets: [:])))
            }
        case .loadCheckpoint(let ticket):
            let checkpoint = store.checkpoint
            instance.post(.reads) {
                $0.checkpointLoaded(ticket, trouble ? .failure(unavailable) : .success(checkpoint))
            }
        case .readDeltas(let purpose, let after, let ticket):
            let read = store.deltas(after: after, limit: 5)
            instance.post(.reads) {
                $0.deltasRead(purpose, ticket, trouble ? .failure(unavailable) : .success(read))
            }
        case .claim(let partition, let ticket):
            let claim = store.claim(partition, clock: time)
            instance.post(.writes) { $0.claimed(partition, ticket, .success(claim)) }
        case .load(let partition, let users, let ticket):
            let stored = store.partitions[partition]?.users ?? [:]
            let blobs = users.map { stored[$0] }
            instance.post(.reads) {
                $0.loaded(
                    partition, users, ticket, trouble ? .failure(unavailable) : .success(blobs))
            }
        case .scan(let partition, let cursor, let ticket):
            let page = store.page(of: partition, cursor: cursor)
            instance.post(.reads) { $0.scanned(partition, ticket, .success(page)) }
        case .commit(let commit):
            let outcome: CommitOutcome =
                commit.incarnation == "\(incarnation)"
                ? store.commit(commit) : .regressed(sequence: nil)
            let (partition, sequence) = (commit.partition, commit.sequence)
            instance.post(.writes) {
                $0.committed(partition, sequence: sequence, .success(outcome))
            }
        case .saveCheckpoint(let snapshot, let sequences, let known):
            if known == "\(incarnation)" {
                store.save(
                    StatisticsCheckpoint(
                        sequences: sequences,
                        chunks: snapshot.chunks(
                            fingerprint: configuration.engine.history.fingerprint)))
            }
            instance.post(.writes) { $0.checkpointSaved(.success(0), seconds: 0) }
        case .begin(let positions):
            for start in positions where instance.assigned.contains(start.partition) {
                instance.positions[start.partition] = start.offset ?? -1
            }
        case .fold: instance.post(.log) { $0.foldTurn() }
        case .makeFeedsAgain: instance.post(.log) { $0.feedTurn() }
        case .release(let partitions): instance.released.formUnion(partitions)
        case .ready: instance.isReady = true
        case .fail(let reason): instance.failure = reason
        case .mergeTrie(let merge): instance.post(.reads) { $0.trieMerged(merge.merged()) }
        case .loadModel, .saveModel, .loadExternal, .loadExternalRecord, .solve, .cancelSolves:
            performOnModels(action, of: instance)
        case .fitMixture(let fit, let ticket):
            instance.post(.reads) { $0.mixtureFitted(ticket, fit.run()) }
        case .summarise(let job): write(job, for: instance)
        case .commitItems, .beginItems, .acknowledge, .acknowledgeItems, .observe, .rank, .pulse,
            .produceFeed:
            break
        }
    }

    // MARK: - Faults

    private func injectFault() {
        loseCheckpoint()
        if savedStore == nil || random.chance(0.01) { savedStore = store }
        let name = random.below(instances.count)
        if random.chance(faults.crash) { crash(name) }
        if random.chance(faults.rebalance) { move(graceful: true) }
        if random.chance(faults.zombie) { move(graceful: false) }
        if random.chance(0.05) { deliverUnheard(of: name) }
        if random.chance(faults.lostWrites), let saved = savedStore {
            // What a crash loses, it loses for everybody; the epochs too.
            faultCount += 1
            store = saved
            incarnation += 1
            for instance in instances { tellIncarnation(instance) }
        }
    }

    /// Somebody deletes the checkpoint, and the histories must be folded again. A world of one instance only: an
    /// instance folds again what it owns, and has the rest when that is claimed or checkpointed.
    private func loseCheckpoint() {
        guard instances.count == 1, laterRandom.chance(faults.lostCheckpoint) else { return }
        faultCount += 1
        store.checkpoint = nil
    }

    /// `kill -9`: memory and messages are gone; its partitions come back to it after a restart.
    private func crash(_ name: Int) {
        faultCount += 1
        let mine = owner.filter { $0.value == name }.map(\.key).sorted()
        unheard.removeAll { $0.instance == name }
        start(name)
        for partition in mine { assign(partition, to: name) }
    }

    /// The group moves a partition. Gracefully the old owner is told first; else it goes on as a zombie for a while.
    private func move(graceful: Bool) {
        guard instances.count > 1,
            let partition = owner.keys.sorted().randomElement(using: &random),
            let from = owner[partition]
        else { return }
        faultCount += 1
        let to = (from + 1 + random.below(instances.count - 1)) % instances.count
        // A zombie of this partition that has not heard yet must hear before it can get it back.
        deliverUnheard(of: to)
        if graceful {
            instances[from].positions[partition] = nil
            instances[from].assigned.remove(partition)
            instances[from].post(.log) { $0.partitionsRevoked([partition], lost: false) }
        } else {
            unheard.append((instance: from, partition: partition))
        }
        assign(partition, to: to)
    }

    private func deliverUnheard(of name: Int) {
        for entry in unheard where entry.instance == name {
            instances[name].positions[entry.partition] = nil
            instances[name].assigned.remove(entry.partition)
            instances[name].post(.log) { $0.partitionsRevoked([entry.partition], lost: true) }
        }
        unheard.removeAll { $0.instance == name }
    }

    /// Where everybody stands, for the report of a failure.
    public var summary: String {
        let stored = store.partitions.sorted { $0.key < $1.key }.map {
            "\($0.key): owner \(owner[$0.key] ?? -1) epoch \($0.value.epoch) next \($0.value.nextOffset ?? -1) of "
                + "\(logs[Int($0.key)].count) sequence \($0.value.sequence)"
        }
        let daemons = instances.map { instance in
            let lines = instance.coordinator.infoSections().flatMap(\.lines)
            let partitions = lines.filter { $0.key.hasPrefix("partition_") || $0.key == "state" }
            return
                "\(instance.name): positions \(instance.positions) messages \(instance.pendingCount) "
                + partitions.map { "\($0.key) \($0.value)" }.joined(separator: " ")
        }
        return "faults \(faultCount) | " + (stored + daemons).joined(separator: " | ")
    }

    /// The statistics of each instance, which must all be those of the reference.
    public var statistics: [Statistics] { instances.map { $0.coordinator.engine.statistics } }
}
