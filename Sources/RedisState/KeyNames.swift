// Every key's name in one place. What one commit touches shares a hash tag, hence a slot of a Redis Cluster (decision
// D1).

import Interactions
import Ports

/// The keys under one prefix.
struct KeyNames: Sendable {
    let prefix: String

    /// Hash: epoch, sequence, offset, digest, users, bytes, trimmed.
    func meta(_ partition: PartitionIndex) -> String { "\(prefix):{p\(partition)}:meta" }
    /// Hash: user -> blob.
    func users(_ partition: PartitionIndex) -> String { "\(prefix):{p\(partition)}:users" }
    /// Stream: `<sequence>-0` with field `e`, the statistics edits of that commit.
    func deltas(_ partition: PartitionIndex) -> String { "\(prefix):{p\(partition)}:deltas" }
    /// Hash: item -> JSON.
    func items(_ partition: PartitionIndex) -> String { "\(prefix):{i\(partition)}:items" }
    /// Hash: offset.
    func itemsMeta(_ partition: PartitionIndex) -> String { "\(prefix):{i\(partition)}:meta" }
    /// Hash: format, partitions, partitioner.
    var layout: String { "\(prefix):{layout}" }
    /// Set of the item partitions that have a key of their own.
    var itemPartitions: String { "\(prefix):{layout}:items" }
    /// Hash: version, chunks, and one field `p<partition>` with its sequence for each partition.
    var checkpoint: String { "\(prefix):{stats}:checkpoint" }
    /// Hash: index -> chunk. A version that is never made current expires.
    static func chunks(of pointer: String, _ version: String) -> String {
        "\(pointer):\(version)"
    }
    /// Hash like `checkpoint`: version, chunks, and `p0`, the version of the model.
    func model(_ name: String) -> String { "\(prefix):{model}:\(name)" }
    /// Hash: token, until, owner.
    var lease: String { "\(prefix):{lease}:refresh" }
    /// Hash that another system writes: format, version, kind.
    var externalMeta: String { "\(prefix):{external}:meta" }
    /// Hash: item -> record.
    func externalItems(_ version: UInt64) -> String { "\(prefix):{external}:items:\(version)" }
    /// Hash: user -> record.
    func externalUsers(_ version: UInt64) -> String { "\(prefix):{external}:users:\(version)" }
}
