// What the coordinator asks the world to do. It never does anything itself, so that a test or the simulator can be the world.

public import Interactions
public import Ports
public import Teachers

public enum DeltaPurpose: Sendable, Hashable {
    /// At start, after the checkpoint.
    case recovery
    /// After a claim: what others committed to the partition since we last looked.
    case claim(PartitionIndex)
    /// Now and then: what other instances did.
    case peers
}

public enum Action: Sendable {
    // To the state store; each is answered by the method of the same name.
    case prepare(partitions: Int32)
    case loadCatalogue
    case loadCheckpoint
    case readDeltas(DeltaPurpose, after: [PartitionIndex: Int64])
    case claim(PartitionIndex)
    case load(PartitionIndex, [UserID])
    case scan(PartitionIndex, cursor: UInt64)
    case commit(PartitionCommit)
    case commitItems(ItemCommit, recordCount: Int)
    case saveCheckpoint(Statistics, sequences: [PartitionIndex: Int64])

    // To the record source.
    case begin([StartPosition])
    case beginItems([StartPosition])
    case release([PartitionIndex])
    case acknowledge(PartitionIndex, nextOffset: Offset, recordCount: Int)
    case acknowledgeItems(PartitionIndex, nextOffset: Offset, recordCount: Int)

    // To whoever runs the process.
    case observe(Observation)
    /// Recovery is over and the first partitions are being read.
    case ready
    /// The process must stop, with this reason.
    case fail(String)
}
