// The loop on each of the two lanes: takes steps, sends them as one pipeline, settles them in order, and survives
// Redis.
//
// Order is the promise to keep. When one step of a pipeline has to wait (OOM, a lost connection), every later one is
// repeated with it whatever it was answered: a commit that overtook a waiting one would be told "regressed", which
// would be untrue.

import Glibc
import Lanes
import Ports
import Synchronization

/// Lives on one lane; made and used only inside the job that runs `run`.
struct Worker {
    enum Kind {
        /// Keeps steps until they are done.
        case writes
        /// Fails steps at once while there is no connection: a reader rather has no answer than a late one.
        case reads
    }

    private let kind: Kind
    private let settings: RedisSettings
    private let mailbox: Mailbox
    private let board: HealthBoard
    private let counters: StoreCounters

    private var connection: RedisConnection?
    /// The life of Redis at the other end.
    private var incarnation = ""
    private var queue: [Step] = []
    private var buffer = CommandBuffer()
    private var backoff: Backoff
    /// No attempt before this moment, in monotonic seconds.
    private var nextAttempt = 0.0
    private var lastFault: Fault?
    /// When to be done, once the mailbox is closed.
    private var deadline: Double?

    /// Steps sent before their answers are read; bounds what a lost connection makes us repeat.
    private static let pipelineStepsMax = 64
    private static let pipelineBytesMax = 4 << 20
    /// An idle connection is tried this often, so that trouble is known before somebody needs it.
    private static let idleProbeMilliseconds = 1_000

    init(
        _ kind: Kind, settings: RedisSettings, mailbox: Mailbox, board: HealthBoard,
        counters: StoreCounters
    ) {
        self.kind = kind
        self.settings = settings
        self.mailbox = mailbox
        self.board = board
        self.counters = counters
        backoff = Backoff(
            minMilliseconds: settings.backoffMinMilliseconds,
            maxMilliseconds: settings.backoffMaxMilliseconds)
    }

    /// Works until the mailbox is closed and its steps are settled or its deadline has passed.
    mutating func run() {
        blockBrokenPipeSignal()
        while true {
            deadline = mailbox.take(into: &queue, waitingMilliseconds: waitMilliseconds)
            if let deadline, queue.isEmpty || monotonicSeconds() >= deadline { break }
            if kind == .reads, lastFault != nil, monotonicSeconds() < nextAttempt {
                failAll(because: lastFault)
            }
            if monotonicSeconds() >= nextAttempt { attempt() }
        }
        failAll(because: Fault(.reconnect, "the state store is stopping"))
        connection = nil
    }

    /// How long there is nothing to do unless a step arrives.
    private var waitMilliseconds: Int {
        let now = monotonicSeconds()
        let next = min(nextAttempt, deadline ?? nextAttempt)
        if next > now { return Int((next - now) * 1_000) + 1 }
        return queue.isEmpty && connection != nil ? Self.idleProbeMilliseconds : 0
    }

    /// One pipeline. A connection that served before may have gone with a restart of Redis: then a new one is tried
    /// at once.
    private mutating func attempt() {
        let wasConnected = connection != nil
        do throws(Fault) {
            try exchange(over: connected())
        } catch {
            guard wasConnected, error.remedy == .reconnect else { return setBack(by: error) }
            connection = nil
            do throws(Fault) {
                try exchange(over: connected())
            } catch {
                return setBack(by: error)
            }
        }
        if lastFault != nil { recovered() }
    }

    private mutating func connected() throws(Fault) -> RedisConnection {
        if let connection { return connection }
        let fresh = try RedisConnection(
            settings, name: "\(settings.prefix)-\(kind == .writes ? "writes" : "reads")",
            loadsFunctions: kind == .writes)
        counters.connects.add(1, ordering: .relaxed)
        // Told before anything is asked of the new connection: another life of Redis may have lost writes.
        let found = try fresh.runID()
        incarnation = found
        board.update { $0.incarnation = found }
        connection = fresh
        return fresh
    }

    /// Sends the first steps of the queue (or a probe) and settles them in order, up to the first that has to wait.
    private mutating func exchange(over link: RedisConnection) throws(Fault) {
        buffer.removeAll()
        var commandCounts: [Int] = []
        for step in queue.prefix(Self.pipelineStepsMax) {
            let before = buffer.commandCount
            if isOutlived(step) { buffer.command("PING") } else { step.encode(&buffer) }
            commandCounts.append(buffer.commandCount - before)
            if buffer.bytes.count >= Self.pipelineBytesMax { break }
        }
        if buffer.isEmpty { buffer.command("PING") }
        let probing = commandCounts.isEmpty
        if probing { commandCounts.append(1) }
        try link.append(buffer)

        var settled = 0
        var waiting: Fault?
        defer {
            queue.removeFirst(settled)
            mailbox.settled(settled)
        }
        for (index, count) in commandCounts.enumerated() {
            var replies: [Reply] = []
            for _ in 0..<count { replies.append(try link.reply()) }
            // Answers after a step that waits are only taken off the wire.
            guard waiting == nil else { continue }
            waiting = settle(probing ? nil : queue[index], replies)
            if waiting == nil, !probing { settled += 1 }
        }
        if let waiting { throw waiting }
    }

    private func isOutlived(_ step: Step) -> Bool {
        guard let wanted = step.onlyIn?.incarnation, !wanted.isEmpty else { return false }
        return wanted != incarnation
    }

    /// Completes the step, or returns why it has to be sent again.
    private func settle(_ step: Step?, _ replies: [Reply]) -> Fault? {
        if let text = replies.lazy.compactMap({ $0.errorText }).first {
            let fault = Fault.classify(text, at: settings.address.description)
            guard let step, fault.remedy == .giveUp else { return fault }
            step.fail(fault.portError)
            return nil
        }
        if let step, isOutlived(step) {
            step.onlyIn?.otherwise()
            return nil
        }
        do throws(PortError) {
            try step?.accept(replies)
        } catch {
            step?.fail(error)
        }
        return nil
    }

    /// Notes the fault, fails whoever does not wait, and decides when to try again.
    private mutating func setBack(by fault: Fault) {
        var fault = fault
        if fault.remedy == .loadFunctions, let connection, lastFault?.remedy != .loadFunctions {
            do throws(Fault) {
                try connection.loadFunctionsIfOlder()
                lastFault = fault
                return
            } catch {
                fault = error
            }
        }
        // Functions that vanish again at once: the next connection loads them.
        if fault.dropsConnection || fault.remedy == .loadFunctions { connection = nil }
        lastFault = fault
        counters.retries.add(1, ordering: .relaxed)
        nextAttempt = monotonicSeconds() + Double(backoff.pauseMilliseconds()) / 1_000
        report(fault.reason)
        if kind == .reads {
            failAll(because: fault)
        } else {
            fail(.failsAtOnce, because: fault)
            if fault.remedy == .intervene { fail(.failsWhenRefused, because: fault) }
        }
    }

    private mutating func recovered() {
        lastFault = nil
        backoff.reset()
        report(nil)
    }

    private func report(_ trouble: String?) {
        board.update { health in
            switch kind {
            case .writes: health.writeTrouble = trouble
            case .reads: health.readTrouble = trouble
            }
        }
    }

    private mutating func failAll(because fault: Fault?) {
        guard let fault, !queue.isEmpty else { return }
        let failing = queue
        queue.removeAll()
        mailbox.settled(failing.count)
        for step in failing { step.fail(fault.portError) }
    }

    private mutating func fail(_ patience: Step.Patience, because fault: Fault) {
        let failing = queue.filter { $0.patience == patience }
        queue.removeAll { $0.patience == patience }
        mailbox.settled(failing.count)
        for step in failing { step.fail(fault.portError) }
    }
}

func monotonicSeconds() -> Double {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}
