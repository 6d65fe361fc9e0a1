// The log's reading end: a member of the consumer group, and a reader of the items topic, on one lane.

public import Interactions
import Lanes
public import Ports

/// Reads the interactions and items topics. `stop` has to be called before it is let go.
public final class KafkaSource: RecordSource {
    private let lane: Lane
    private let core: SourceCore

    /// Throws when librdkafka refuses a setting; connects once started. `sink` takes dead letters and moved records
    /// and has to stay open until this source is stopped.
    public init(
        configuration: KafkaConfiguration, sink: KafkaSink, clock: any Clock,
        observer: any Observer
    ) throws(KafkaError) {
        lane = Lane(name: "kafka-source")
        core = try SourceCore(
            lane: lane, configuration: configuration, sink: sink, clock: clock, observer: observer)
    }

    deinit { lane.isCurrent ? lane.finish() : lane.stop() }

    public func start(consumer: any LogConsumer) { core.post { $0.start(consumer) } }
    public func begin(_ positions: [StartPosition]) { core.post { $0.begin(positions) } }
    public func beginItems(_ positions: [StartPosition]) {
        core.post { $0.beginItems(positions) }
    }
    public func release(_ partitions: [PartitionIndex]) { core.post { $0.release(partitions) } }
    public func acknowledge(_ partition: PartitionIndex, nextOffset: Offset, recordCount: Int) {
        core.post { $0.acknowledge(partition, nextOffset) }
    }
    public func acknowledgeItems(
        _ partition: PartitionIndex, nextOffset: Offset, recordCount: Int
    ) {
        core.post { $0.acknowledgeItems(partition, nextOffset) }
    }
    public func setPaused(_ paused: Bool) { core.post { $0.setPaused(paused) } }
    public func stop(done: @escaping @Sendable () -> Void) { core.post { $0.stop(done) } }
}
