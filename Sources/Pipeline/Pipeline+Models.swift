// Where models are solved, written and read: a lane of its own beside the engine's, at a low priority.
//
// The engine's lane hands over values and gets values back; it never waits for this one. Histories come page by page,
// and the next page is asked for when the one before is folded, so reads that serve go in between.

import Interactions
import Lanes
public import Ports
import Recommender
import Synchronization
public import Teachers

/// The lane, and what was given up.
final class ModelLane: Sendable {
    /// A tenth of a core that others want too, all of one that nobody wants.
    private static let niceness: Int32 = 10

    let lane = Lane(name: "models", niceness: niceness)
    private let cancelled = Atomic<Ticket>(0)

    func cancel(upTo ticket: Ticket) { cancelled.max(ticket, ordering: .releasing) }

    func isCancelled(_ ticket: Ticket) -> Bool {
        ticket <= cancelled.load(ordering: .acquiring)
    }

    /// Waits for the work under way, which looks up now and then to see that it is given up; but not for ever: one
    /// call of LAPACK may be minutes.
    func stop(withinMilliseconds limit: Int) {
        cancel(upTo: .max)
        let idle = Semaphore()
        lane.run { idle.signal() }
        _ = idle.wait(milliseconds: limit)
        lane.finish()
    }
}

/// Histories being collected; touched on the lane of models only.
private final class HistoryReading {
    /// A user may be on two pages of a scan.
    private var seen: Set<UInt64> = []
    private(set) var histories = Histories()
    private let rules: HistoryRules
    private let bytesMax: Int
    private(set) var damagedCount = 0

    init(rules: HistoryRules, bytesMax: Int) {
        self.rules = rules
        self.bytesMax = bytesMax
    }

    /// False when the memory is used up.
    func add(_ page: UserPage) -> Bool {
        for row in page.users where seen.insert(row.user.key).inserted {
            do throws(MalformedBytes) {
                histories.append(try UserState(decoding: row.blob), rules: rules)
            } catch {
                damagedCount += 1
            }
        }
        // An entry is its item, its weight, and both again by item; a user is a start and a place in the set.
        return 16 * histories.entries.count + 40 * seen.count <= bytesMax
    }
}

extension Pipeline {
    /// Bytes in a chunk of a stored model: a commit waits behind one of them at most.
    private static let chunkBytes = 1 << 20
    private static let progressIntervalSeconds = 0.5

    func executeOnModels(_ action: Action) {
        switch action {
        case .loadModel(let blank, let known, let ticket):
            store.loadModel(blank.name, after: known) { [self] result in
                models.lane.run { [self] in
                    let loaded = result.map { LoadedModel($0, as: blank) }
                    perform { $0.modelLoaded(blank.name, ticket, loaded) }
                }
            }
        case .loadExternal(let known, let ticket):
            store.loadExternal(after: known) { [self] result in
                models.lane.run { [self] in
                    let loaded = result.map { LoadedModel($0) }
                    perform { $0.modelLoaded(ExternalTeacher.name, ticket, loaded) }
                }
            }
        case .loadExternalRecord(let user, let version):
            store.loadExternalRecord(of: user, version: version) { [self] result in
                perform { $0.externalRecordLoaded(user, result) }
            }
        case .saveModel(let teacher, let incarnation, let ticket):
            models.lane.run { [self] in save(teacher, incarnation, ticket) }
        case .solve(let order): collect(for: order)
        case .cancelSolves(let ticket): models.cancel(upTo: ticket)
        case .mergeTrie(let merge):
            models.lane.run { [self] in
                let merged = merge.merged()
                perform { $0.trieMerged(merged) }
            }
        default: preconditionFailure("not for the lane of models")
        }
    }

    private func save(_ teacher: any Teacher, _ incarnation: String, _ ticket: Ticket) {
        let bytes = teacher.encoded()
        guard bytes.count <= storedModelBytesMax else {
            let error = PortError(
                .refused,
                "it has \(bytes.count) bytes, \(storedModelBytesMax) may be stored "
                    + "(teachers.stored-max)")
            return perform { $0.modelSaved(teacher.name, ticket, .failure(error)) }
        }
        let chunks = stride(from: 0, to: bytes.count, by: Self.chunkBytes).map {
            Array(bytes[$0..<min($0 + Self.chunkBytes, bytes.count)])
        }
        let model = StoredModel(
            name: teacher.name, version: teacher.version, chunks: chunks, incarnation: incarnation)
        store.saveModel(model) { [self] result in
            perform { $0.modelSaved(teacher.name, ticket, result.map { bytes.count }) }
        }
    }

    private func collect(for order: SolveOrder) {
        let started = clock.monotonicSeconds
        models.lane.run { [self] in
            guard type(of: order.teacher).material == .histories, order.partitionCount > 0 else {
                return solve(order, Histories(), started)
            }
            let reading = HistoryReading(rules: history, bytesMax: solveHistoryBytesMax)
            readPage(order, LaneBound(reading, on: models.lane), (0, 0), started)
        }
    }

    private func readPage(
        _ order: SolveOrder, _ reading: LaneBound<HistoryReading>,
        _ place: (partition: PartitionIndex, cursor: UInt64), _ started: Double
    ) {
        guard !models.isCancelled(order.ticket) else {
            return finish(order, .failure(.solve(.cancelled)), started)
        }
        store.scanUsers(of: place.partition, cursor: place.cursor) { [self] result in
            models.lane.run { [self] in
                switch result {
                case .failure(let error): finish(order, .failure(.store(error)), started)
                case .success(let page):
                    guard reading.value.add(page) else {
                        let reason =
                            "histories take more than \(solveHistoryBytesMax) bytes "
                            + "(teachers.histories-max)"
                        return finish(order, .failure(.solve(.unsolvable(reason))), started)
                    }
                    if let cursor = page.nextCursor {
                        readPage(order, reading, (place.partition, cursor), started)
                    } else if place.partition + 1 < order.partitionCount {
                        readPage(order, reading, (place.partition + 1, 0), started)
                    } else {
                        solve(order, reading.value.histories, started)
                    }
                }
            }
        }
    }

    private func solve(_ order: SolveOrder, _ histories: Histories, _ started: Double) {
        let material = TeacherMaterial(
            statistics: order.statistics, histories: histories, version: order.version)
        var toldAt = started
        do throws(SolveFailure) {
            let solved: any Teacher = try order.teacher.solved(from: material) { share in
                let time = clock.monotonicSeconds
                if time - toldAt >= Self.progressIntervalSeconds {
                    toldAt = time
                    perform { $0.solveProgressed(order.teacher.name, order.ticket, share) }
                }
                return !models.isCancelled(order.ticket)
            }
            finish(order, .success(solved), started)
        } catch {
            finish(order, .failure(.solve(error)), started)
        }
    }

    private func finish(
        _ order: SolveOrder, _ result: Result<any Teacher, SolveTrouble>, _ started: Double
    ) {
        let seconds = clock.monotonicSeconds - started
        perform { $0.solved(order.teacher.name, order.ticket, result, seconds: seconds) }
    }
}

extension LoadedModel {
    /// What a stored model is to a teacher with these parameters.
    public init(_ stored: StoredModel?, as blank: any Teacher) {
        guard let stored else {
            self = .nothingNewer
            return
        }
        do throws(MalformedBytes) {
            let teacher: any Teacher = try blank.loaded(from: Array(stored.chunks.joined()))
            self =
                teacher.version == stored.version
                ? .model(teacher)
                : .refused(
                    version: stored.version, reason: "it says it is version \(teacher.version)")
        } catch {
            self = .refused(version: stored.version, reason: error.reason)
        }
    }

    /// What another system published.
    public init(_ publication: ExternalPublication?) {
        guard let publication else {
            self = .nothingNewer
            return
        }
        do throws(MalformedBytes) {
            guard let items = publication.items else {
                self = .model(ExternalTeacher(listVersion: publication.version))
                return
            }
            self = .model(
                try ExternalTeacher(
                    version: publication.version,
                    vectors: items.lazy.map { (item: $0.item, record: $0.record) }))
        } catch {
            self = .refused(version: publication.version, reason: error.reason)
        }
    }
}
