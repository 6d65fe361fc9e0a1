// The source's work, isolated to its lane: one step after the other, each polls, decodes, delivers and looks after
// the
// group; what others ask for runs between two steps.
//
// A step waits in one queue only, that of the interaction records; everything else that happens (a rebalance, an
// item, a call from outside) wakes it from there.

import Interactions
import Lanes
import Ports
import RecordDecoding

actor SourceCore {
    enum Phase {
        case idle
        case connecting(nextAttempt: Double)
        case running
        case settling(deadline: Double, done: @Sendable () -> Void)
        case closed
    }

    nonisolated let lane: Lane
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe lane.asUnownedSerialExecutor()
    }

    let configuration: KafkaConfiguration
    let sink: KafkaSink
    let clock: any Clock
    let observer: any Observer
    nonisolated let group: ConsumerHandle
    nonisolated let items: ConsumerHandle

    var phase = Phase.idle
    var consumer: (any LogConsumer)?
    var partitionCount: Int32 = 0
    var isPaused = false
    var wasReading = true
    var assignment = Assignment()
    var deliveries: PartitionDeliveries<RecordBatch.Entry, RecordBatch>
    var itemDeliveries: PartitionDeliveries<ItemChange, ItemBatch>
    var itemPositions: [PartitionIndex: StartPosition] = [:]
    var decoder: InteractionDecoder
    var itemDecoder: ItemDecoder
    var buffer: MessageBuffer
    var tally = Tally()
    /// Acknowledged and not yet told to the library.
    var durable: [PartitionIndex: Offset] = [:]
    /// The last acknowledged offset, for the lag.
    var applied: [PartitionIndex: Offset] = [:]
    var resends: [Letter] = []
    var gaps: [PartitionIndex: Gap] = [:]
    var limiter = RateLimiter(intervalSeconds: 10)
    var nextLagReport = 0.0
    /// Until then the records' way is made sure of at every step.
    var forwardingUntil = 0.0
    var forwardingItemsUntil = 0.0
    /// Why the source cannot go on; ends it after the step.
    var failure: String?

    static let idleWaitMilliseconds: Int32 = 500
    static let settlingWaitMilliseconds: Int32 = 20
    static let forwardingSeconds = 3.0
    static let lagIntervalSeconds = 1.0
    static let connectIntervalSeconds = 1.0
    static let connectWaitMilliseconds: Int32 = 2_000

    init(
        lane: Lane, configuration: KafkaConfiguration, sink: KafkaSink, clock: any Clock,
        observer: any Observer
    ) throws(KafkaError) {
        self.lane = lane
        self.configuration = configuration
        self.sink = sink
        self.clock = clock
        self.observer = observer
        group = try ConsumerHandle(
            topic: configuration.interactionsTopic, settings: configuration.consumerSettings,
            observer: observer)
        items = try ConsumerHandle(
            topic: configuration.itemsTopic,
            settings: configuration.readerSettings(group: "items"), observer: observer)
        let prefetch = Prefetch(
            recordsMax: configuration.prefetchRecordsMax, bytesMax: configuration.prefetchBytesMax)
        deliveries = PartitionDeliveries(prefetch: prefetch)
        itemDeliveries = PartitionDeliveries(prefetch: prefetch)
        decoder = InteractionDecoder(
            fields: configuration.interactionFields, types: configuration.eventTypes,
            limits: configuration.limits)
        itemDecoder = ItemDecoder(
            fields: configuration.itemFields, limits: configuration.limits)
        buffer = MessageBuffer(capacity: max(1, configuration.batchRecordsMax))
    }

    /// Runs `body` on the lane, soon: ends the wait that goes on there.
    nonisolated func post(_ body: @escaping @Sendable (isolated SourceCore) -> Void) {
        lane.run { [self] in assumeIsolated { body($0) } }
        group.wake()
    }

    // MARK: what others ask for

    func start(_ consumer: any LogConsumer) {
        guard case .idle = phase else { return }
        self.consumer = consumer
        group.wakes(group.records)
        items.wakes(group.records)
        phase = .connecting(nextAttempt: 0)
        scheduleStep()
    }

    func begin(_ positions: [StartPosition]) { perform(assignment.begin(positions)) }

    func release(_ partitions: [PartitionIndex]) { perform(assignment.release(partitions)) }

    func beginItems(_ positions: [StartPosition]) {
        for position in positions {
            itemPositions[position.partition] = position
            itemDeliveries.open(position.partition, at: position.offset)
        }
        let all = itemPositions.values.sorted { $0.partition < $1.partition }
        attempt { () throws(KafkaError) in try items.assign(all, incremental: false) }
        forwardingItemsUntil = clock.monotonicSeconds + Self.forwardingSeconds
    }

    func acknowledge(_ partition: PartitionIndex, _ nextOffset: Offset) {
        guard deliveries.acknowledge(partition, nextOffset: nextOffset) else { return }
        durable[partition] = nextOffset
        applied[partition] = nextOffset
    }

    func acknowledgeItems(_ partition: PartitionIndex, _ nextOffset: Offset) {
        _ = itemDeliveries.acknowledge(partition, nextOffset: nextOffset)
    }

    func setPaused(_ paused: Bool) { isPaused = paused }

    func stop(_ done: @escaping @Sendable () -> Void) {
        switch phase {
        case .idle:
            close()
            done()
        case .connecting, .running:
            let deadline = clock.monotonicSeconds + releaseWaitSeconds
            phase = .settling(deadline: deadline, done: done)
            let owned = assignment.owned
            guard !owned.isEmpty else { return }
            for partition in owned { deliveries.dropUndelivered(partition) }
            _ = assignment.revoked(owned, lost: false, deadline: deadline)
            consumer?.partitionsRevoked(owned, lost: false)
        case .settling, .closed: done()
        }
    }

    // MARK: one step

    func scheduleStep() {
        lane.run { [self] in assumeIsolated { $0.step() } }
    }

    private func step() {
        let now = clock.monotonicSeconds
        switch phase {
        case .idle, .closed: return
        case .connecting(let nextAttempt):
            if now >= nextAttempt {
                connect()
            } else {
                wait(milliseconds: 100)
            }
        case .running:
            serveGroup()
            let reading = isReading()
            let itemCount = readItems()
            if reading {
                readInteractions(waitingAtMost: itemCount > 0 ? 0 : idleWait(now: now))
            } else if itemCount == 0 {
                wait(milliseconds: 100)
            }
            housekeeping(now: clock.monotonicSeconds)
        case .settling(let deadline, let done):
            serveGroup()
            storeDurable()
            if failure == nil, assignment.isSettled || now >= deadline {
                close()
                done()
                return
            }
            wait(milliseconds: 20)
        }
        if let failure { end(failure) }
        if case .closed = phase { return }
        scheduleStep()
    }

    private func idleWait(now: Double) -> Int32 {
        let settling = now < max(forwardingUntil, forwardingItemsUntil) || !assignment.isSettled
        return settling ? Self.settlingWaitMilliseconds : Self.idleWaitMilliseconds
    }

    private func isReading() -> Bool {
        let reading = !isPaused && deliveries.prefetch.isOpen
        if reading != wasReading {
            wasReading = reading
            observer.observe(
                reading
                    ? .ingestResumed
                    : .ingestPaused(reason: isPaused ? "pipeline" : "prefetch-full"))
        }
        return reading
    }

    /// Waits without reading: serves the library's callbacks, ended by any call from outside.
    private func wait(milliseconds: Int32) {
        if let message = group.poll(waitingAtMost: milliseconds) { handle(message) }
    }

    private func serveGroup() {
        while let message = group.poll(waitingAtMost: 0) { handle(message) }
        for event in group.handle.events.take() { handle(event) }
    }

    private func connect() {
        do throws(KafkaError) {
            let wait = Self.connectWaitMilliseconds
            let count = try group.handle.partitionCount(of: group.topic, waitingAtMost: wait)
            let itemCount = try items.handle.partitionCount(of: items.topic, waitingAtMost: wait)
            try group.subscribe()
            sink.topicsExist()
            partitionCount = count
            phase = .running
            consumer?.sourceReady(interactionPartitions: count, itemPartitions: itemCount)
        } catch {
            phase = .connecting(
                nextAttempt: clock.monotonicSeconds + Self.connectIntervalSeconds)
            report(error)
        }
    }

    private func housekeeping(now: Double) {
        perform(assignment.expire(now: now))
        if now < forwardingUntil { group.forward(assignment.reading) }
        if now < forwardingItemsUntil { items.forward(itemPositions.keys) }
        storeDurable()
        resendLetters(now: now)
        closeGaps(now: now)
        observeTally()
        guard now >= nextLagReport else { return }
        nextLagReport = now + Self.lagIntervalSeconds
        reportLag()
    }

    private func storeDurable() {
        guard !durable.isEmpty else { return }
        group.storeOffsets(durable.map { StartPosition(partition: $0.key, offset: $0.value) })
        durable.removeAll(keepingCapacity: true)
    }

    private func reportLag() {
        for partition in assignment.reading.sorted() {
            guard let high = group.handle.knownHighWatermark(topic: group.topic, partition)
            else { continue }
            let lag = max(0, high - (applied[partition] ?? 0))
            observer.observe(.lag(partition: partition, records: lag))
        }
    }

    private func end(_ reason: String) {
        let consumer = consumer
        var waiting: (@Sendable () -> Void)?
        if case .settling(_, let done) = phase { waiting = done }
        close()
        consumer?.sourceFailed(reason)
        waiting?()
    }

    /// Leaves the group. Nothing runs after it.
    private func close() {
        phase = .closed
        items.close()
        group.close()
        consumer = nil
    }
}
