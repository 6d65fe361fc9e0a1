// One daemon of the simulated world: a coordinator, and the messages on their way to it.

import Interactions
public import Pipeline
import Ports

/// Messages travel on four wires, each in order, as in the real daemon: from the log, from the store's write lane,
/// from its read lane, from the writer of summaries.
public final class SimulatedInstance {
    enum Wire: CaseIterable { case log, writes, reads, writer }

    public let name: Int
    public let coordinator: Coordinator
    var wires: [Wire: [(Coordinator) -> Void]] = [:]
    /// Where the source reads on, for each partition it was told to begin.
    var positions: [PartitionIndex: Offset] = [:]
    /// The end of the run delivered last, which is the next run's beginning.
    var assigned: Set<PartitionIndex> = []
    /// Released by the coordinator since the last look.
    var released: Set<PartitionIndex> = []
    var failure: String?
    var isReady = false

    init(name: Int, _ configuration: PipelineConfiguration) {
        self.name = name
        coordinator = Coordinator(configuration)
    }

    func post(_ wire: Wire, _ message: @escaping (Coordinator) -> Void) {
        wires[wire, default: []].append(message)
    }

    var pendingCount: Int { wires.values.reduce(0) { $0 + $1.count } }
}
