import Interactions
import Ports
import Synchronization
import TestKit
import Testing

@testable import KafkaIngest

@Suite(.serialized) struct RebalanceTests {
    @Test(
        "partitions move between two members without gap or overlap",
        arguments: ["range", "cooperative-sticky"])
    func move(strategy: String) async throws {
        let broker = try standardBroker()
        var configuration = configuration(broker)
        configuration.settings["partition.assignment.strategy"] = strategy
        let shared = SharedState()
        let first = try Member(configuration, shared)
        #expect(await eventually { first.keeper.state.withLock { $0.owned.count } == 4 })
        let producing = Producing(configuration)
        #expect(await eventually { shared.count > 500 })
        let second = try Member(configuration, shared)
        #expect(
            await eventually(within: .seconds(40)) {
                first.keeper.state.withLock { $0.owned.count } == 2
                    && second.keeper.state.withLock { $0.owned.count } == 2
            })
        let middle = shared.count
        #expect(await eventually { shared.count > middle + 500 })
        await first.stop()
        #expect(
            await eventually(within: .seconds(40)) {
                second.keeper.state.withLock { $0.owned.count } == 4
            })
        let produced = await producing.stop()
        #expect(await eventually { shared.count >= produced })
        #expect(shared.count == produced)
        #expect(shared.faults == [])
        for entries in shared.entries.values {
            #expect(entries.map(\.offset) == Array(0..<Offset(entries.count)))
        }
        await second.stop()
    }

    /// The development broker rebalances when a static member comes back, where a real one does not; what can be seen
    /// here is that the member keeps its place and the others their partitions.
    @Test("a static member that comes back goes on where it was")
    func staticMembership() async throws {
        let broker = try standardBroker()
        var configuration = configuration(broker)
        let shared = SharedState()
        configuration.groupInstanceID = "one"
        let first = try Member(configuration, shared)
        configuration.groupInstanceID = "two"
        let second = try Member(configuration, shared)
        #expect(
            await eventually(within: .seconds(40)) {
                first.keeper.state.withLock { $0.owned.count } == 2
                    && second.keeper.state.withLock { $0.owned.count } == 2
            })
        await second.stop()
        let again = try Member(configuration, shared)
        #expect(
            await eventually(within: .seconds(40)) {
                again.keeper.state.withLock { $0.owned.count } == 2
            })
        try produce((0..<100).map { keyed("user\($0)", "x") }, configuration)
        #expect(await eventually { shared.count == 100 })
        #expect(shared.faults == [])
        await again.stop()
        await first.stop()
    }

    @Test("a member that does not settle loses its partitions when the time is over")
    func silent() async throws {
        let broker = try standardBroker()
        var configuration = configuration(broker)
        configuration.releaseWaitMilliseconds = 300
        let first = try Member(configuration, silent: true)
        #expect(await eventually { first.keeper.state.withLock { $0.owned.count } == 4 })
        let second = try Member(configuration)
        #expect(
            await eventually(within: .seconds(40)) {
                second.keeper.state.withLock { $0.owned.count } == 2
            })
        await first.stop()
        await second.stop()
    }
}

/// Produces all the time, until stopped.
private final class Producing: Sendable {
    private let count: Task<Int, any Error>
    private let flag: Flag

    init(_ configuration: KafkaConfiguration) {
        let flag = Flag()
        self.flag = flag
        count = Task.detached {
            var produced = 0
            while !flag.isSet {
                let records = (produced..<(produced + 50)).map {
                    keyed("user\($0 % 50)", "item\($0)")
                }
                try produce(records, configuration)
                produced += 50
            }
            return produced
        }
    }

    func stop() async -> Int {
        flag.set()
        return (try? await count.value) ?? -1
    }
}

private final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}
