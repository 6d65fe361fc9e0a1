// What a refresh is told of the stream: how many events came, and some of them with the history just before, by which
// models are compared that have not learnt from them.

public import Interactions
import Ports
import Recommender
import Teachers

/// An event that nobody has learnt from yet, and what its user had done before it.
public struct EventSample: Sendable, Hashable {
    /// Positive items, oldest first; not empty, and without the target.
    public var history: [ItemKey]
    public var target: ItemKey
    /// As it is stored; empty where the model reads none.
    public var summary: [UInt8]

    public init(history: [ItemKey], target: ItemKey, summary: [UInt8] = []) {
        self.history = history
        self.target = target
        self.summary = summary
    }
}

/// What happened since the pulse before.
public struct RefreshPulse: Sendable {
    /// Events applied since the start.
    public var eventCount: UInt64
    public var samples: [EventSample]
}

/// Takes a few events of every interval, the first ones.
struct EventSampler {
    /// Comparing two models costs a millisecond or two an event, on a core that others may want.
    static let samplesMax = 32
    static let intervalMilliseconds: Milliseconds = 1_000

    private(set) var samples: [EventSample] = []
    private var toldAt: Milliseconds = 0

    var isFull: Bool { samples.count >= Self.samplesMax }

    mutating func add(_ sample: EventSample) { samples.append(sample) }

    /// Nil before the interval is over.
    mutating func take(now: Milliseconds) -> [EventSample]? {
        guard now - toldAt >= Self.intervalMilliseconds else { return nil }
        toldAt = now
        defer { samples = [] }
        return samples
    }
}

extension Coordinator {
    /// Before the event is folded: its user's state is what was before it.
    func sample(_ entry: LogEntry, given state: UserState) {
        guard configuration.samplesEvents, !sampler.isFull, case .interaction(let event) = entry,
            configuration.engine.history.types.weight(of: event.type) > 0,
            !state.history.contains(where: { $0.item == event.item.key })
        else { return }
        let history = engine.positive(state, session: [])
        guard !history.isEmpty else { return }
        sampler.add(
            EventSample(
                history: history, target: event.item.key,
                summary: engine.modelReads(summary: state.summary) ? state.summary : []))
    }

    func tellPulse() {
        guard configuration.samplesEvents, let samples = sampler.take(now: now) else { return }
        act(.pulse(RefreshPulse(eventCount: eventCount, samples: samples)))
    }

    /// The catalogue as it is: what models and summaries read of its items.
    public func catalogueItems() -> [ItemRecord] {
        engine.catalogue.all.map {
            ItemRecord(
                id: $0.id, title: $0.title, brand: $0.brand, categories: $0.categories,
                price: $0.price)
        }
    }
}
