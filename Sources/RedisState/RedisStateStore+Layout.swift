// The layout as `millrace repartition` reads and changes it: `partitions` says "4>8" while users move from 4 to 8.

import Interactions
public import Ports
import Synchronization

extension RedisStateStore: MovableStore {
    public func readLayout(completion: @escaping Completion<StoredLayout?>) {
        write(
            Step(
                patience: .failsAtOnce,
                encode: { [keys] buffer in
                    buffer.command("HMGET", keys.layout, "format", "partitions", "partitioner")
                },
                accept: { replies throws(PortError) in
                    completion(.success(try Layout(stored: replies[0])?.told))
                },
                fail: { completion(.failure($0)) }))
    }

    public func writeLayout(_ layout: StoredLayout, completion: @escaping Completion<Void>) {
        let partitions =
            layout.movingTo.map { "\(layout.partitions)>\($0)" } ?? "\(layout.partitions)"
        write(
            Step(
                encode: { [keys] buffer in
                    buffer.command(
                        "HSET", keys.layout, "format", String(Layout.format), "partitions",
                        partitions, "partitioner", layout.partitioner)
                },
                accept: { [self] _ in
                    // What was prepared for holds no more.
                    self.layout.withLock { $0 = nil }
                    completion(.success(()))
                },
                fail: { completion(.failure($0)) }))
    }
}

extension Layout {
    /// Nil when none is stored.
    init?(stored reply: Reply) throws(PortError) {
        let fields = try reply.elements("layout", count: 3)
        guard let text = try fields[1].textOrNil("layout partitions") else { return nil }
        let numbers = text.split(separator: ">", maxSplits: 1).map { Int32($0) }
        guard let partitions = numbers[0], numbers.count == 1 || numbers[1] != nil else {
            throw PortError(.corrupt, "layout partitions are \"\(text)\"")
        }
        self.init(
            format: try fields[0].integer("layout format"), partitions: Int64(partitions),
            partitioner: try fields[2].text("layout partitioner"),
            movingTo: numbers.count == 1 ? nil : numbers[1].map(Int64.init))
    }

    fileprivate var told: StoredLayout {
        StoredLayout(
            partitions: Int32(clamping: partitions), partitioner: partitioner,
            movingTo: movingTo.map { Int32(clamping: $0) })
    }
}
