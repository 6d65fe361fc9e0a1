// A named thread that runs jobs one after the other: where blocking and computing happen (decision D10).
//
// The cooperative pool must not block and event loops must not compute, so each C handle and the engine live on a
// lane
// of their own for their whole life. A lane is a `SerialExecutor`: an actor placed on it is isolated by the compiler,
// and synchronous jobs reach that actor with `assumeIsolated`.

import CShims
import Glibc
import Synchronization

/// One thread, one queue of jobs, in order.
public final class Lane: SerialExecutor {
    private struct Queue {
        var jobs: [Job] = []
        var stopping = false
    }

    private struct Thread {
        /// Who runs the jobs, for as long as there may be any: the last ones run after `stop` was called.
        var current: pthread_t?
        /// Whose end is still to be waited for, or let go.
        var joinable: pthread_t?
    }

    private enum Job {
        case closure(@Sendable () -> Void)
        case swift(UnownedJob)
    }

    public let name: String
    private let niceness: Int32
    private let queue = Mutex(Queue())
    private let semaphore = Semaphore()
    private let thread = Mutex(Thread())

    /// Starts the thread. Names longer than 15 bytes are cut by the kernel. `niceness` 0...19 is that of nice(1): with
    /// 10, a lane gets a tenth of a core that the others want too.
    public init(name: String, niceness: Int32 = 0) {
        self.name = name
        self.niceness = niceness
        start()
    }

    /// Runs `job` on the lane after everything enqueued before it.
    public func run(_ job: @escaping @Sendable () -> Void) { push(.closure(job)) }

    public func enqueue(_ job: consuming ExecutorJob) { push(.swift(UnownedJob(job))) }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }

    public func checkIsolated() {
        precondition(isCurrent, "called off lane \(name)")
    }

    /// Whether the caller runs on this lane.
    public var isCurrent: Bool {
        thread.withLock { $0.current.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
    }

    /// Jobs waiting: for gauges.
    public var depth: Int { queue.withLock { $0.jobs.count } }

    /// Runs what is queued, then ends the thread; returns when it has ended. Not to be called on the lane.
    public func stop() {
        precondition(!isCurrent, "a lane cannot stop itself")
        queue.withLock { $0.stopping = true }
        semaphore.signal()
        if let handle = thread.withLock({ $0.joinable.take() }) { pthread_join(handle, nil) }
    }

    /// Like `stop`, without waiting for the thread: how a job ends its own lane.
    public func finish() {
        queue.withLock { $0.stopping = true }
        semaphore.signal()
        if let handle = thread.withLock({ $0.joinable.take() }) { pthread_detach(handle) }
    }

    private func push(_ job: Job) {
        let wake = queue.withLock { queue in
            queue.jobs.append(job)
            return queue.jobs.count == 1
        }
        if wake { semaphore.signal() }
    }

    private func start() {
        thread.withLock { thread in
            let handle = spawnThread { [self] in
                loop()
                self.thread.withLock { $0.current = nil }
            }
            thread = Thread(current: handle, joinable: handle)
        }
    }

    private func loop() {
        _ = unsafe shims_name_current_thread(name)
        // Of this thread alone: that is what Linux makes of "process 0". Refused, the lane is merely not nice.
        if niceness > 0 { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
        var batch: [Job] = []
        while true {
            semaphore.wait()
            let stopping = queue.withLock { queue in
                swap(&batch, &queue.jobs)
                return queue.stopping
            }
            for job in batch {
                switch job {
                case .closure(let closure): closure()
                case .swift(let job): unsafe job.runSynchronously(on: asUnownedSerialExecutor())
                }
            }
            batch.removeAll(keepingCapacity: true)
            if stopping, depth == 0 { return }
            if stopping { semaphore.signal() }
        }
    }
}

/// Starts a joinable thread that runs `body`.
func spawnThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body))
    var handle = pthread_t()
    let code = unsafe pthread_create(
        &handle, nil,
        { context in
            guard let context = unsafe context else { return nil }
            unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
            return nil
        }, box.toOpaque())
    precondition(code == 0, "pthread_create failed with errno \(code)")
    return handle
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
