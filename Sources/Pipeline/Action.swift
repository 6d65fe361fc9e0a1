// What the coordinator asks the world to do. It never does anything itself, so that a test or the simulator can be
// the world.

public import Combiner
public import Interactions
public import Ports
public import Recommender
public import Teachers

public enum DeltaPurpose: Sendable, Hashable {
    /// At start, after the checkpoint.
    case recovery
    /// After a claim: what others committed to the partition since we last looked.
    case claim(PartitionIndex)
    /// Now and then: what other instances did.
    case peers
}

/// Comes back with the answer to a read: an answer to a question from before a restart, or from an earlier ownership
/// of a partition, is recognised and dropped.
public typealias Ticket = UInt64

public enum Action: Sendable {
    // To the state store; each is answered by the method of the same name.
    case prepare(partitions: Int32)
    case loadCatalogue
    case loadCheckpoint(Ticket)
    case readDeltas(DeltaPurpose, after: [PartitionIndex: Int64], Ticket)
    case claim(PartitionIndex, Ticket)
    case load(PartitionIndex, [UserID], Ticket)
    case scan(PartitionIndex, cursor: UInt64, Ticket)
    case commit(PartitionCommit)
    case commitItems(ItemCommit, recordCount: Int)
    case saveCheckpoint(
        EngineSnapshot, sequences: [PartitionIndex: Int64], incarnation: String)

    // To the state store, by way of the lane of models.
    case loadModel(any Teacher, after: UInt64, Ticket)
    case saveModel(any Teacher, incarnation: String, Ticket)
    case loadExternal(after: UInt64, Ticket)
    case loadExternalRecord(UserID, version: UInt64)

    // To the lane of models.
    case solve(SolveOrder)
    /// Solves of this ticket and of earlier ones are given up.
    case cancelSolves(upTo: Ticket)
    /// The answer is `trieMerged`.
    case mergeTrie(TrieMerge)

    // To the lane of the combiner; answered by `mixtureFitted`.
    case fitMixture(CombinerFit, Ticket)

    // To the writer of summaries.
    case summarise(SummaryJob)

    // To the ranker; the answer is `ranked`.
    case rank(RankingJob)

    // To the record source.
    case begin([StartPosition])
    case beginItems([StartPosition])
    case release([PartitionIndex])
    case acknowledge(PartitionIndex, nextOffset: Offset, recordCount: Int)
    case acknowledgeItems(PartitionIndex, nextOffset: Offset, recordCount: Int)

    // To the lane: a turn of folding, after what waits already; answered by `foldTurn`.
    case fold

    /// Another slice for feeds, after what waits already; answered by `feedTurn`.
    case makeFeedsAgain

    // To the record sink; answered by `feedProduced`.
    case produceFeed(FeedEntry)

    // To whoever refreshes the model.
    case pulse(RefreshPulse)

    // To whoever runs the process.
    case observe(Observation)
    /// Recovery is over and the first partitions are being read.
    case ready
    /// The process must stop, with this reason.
    case fail(String)
}
