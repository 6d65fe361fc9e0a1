import Interactions
import Ports
import Testing

@testable import KafkaIngest

@Suite struct DeliveryLedgerTests {
    private func ledger(_ letters: [Int]) -> DeliveryLedger<Int> {
        var ledger = DeliveryLedger<Int>(position: 0)
        for (index, count) in letters.enumerated() {
            ledger.append(
                id: index, index, nextOffset: Offset(index * 10 + 10), records: 10, bytes: 100,
                letters: count)
        }
        return ledger
    }

    @Test("batches are delivered in order, none before its letters have arrived")
    func order() {
        var ledger = ledger([0, 2, 0])
        #expect(ledger.takeReady() == 0)
        #expect(ledger.takeReady() == nil)
        ledger.settleLetter(of: 1)
        ledger.settleLetter(of: 99)
        #expect(ledger.takeReady() == nil)
        ledger.settleLetter(of: 1)
        #expect(ledger.takeReady() == 1)
        #expect(ledger.takeReady() == 2)
        #expect(ledger.takeReady() == nil)
    }

    @Test("an acknowledgement frees what was delivered before it, and only that")
    func acknowledge() {
        var ledger = ledger([0, 0, 0])
        #expect(ledger.acknowledge(nextOffset: 100) == (0, 0))
        _ = ledger.takeReady()
        _ = ledger.takeReady()
        #expect(ledger.acknowledge(nextOffset: 15) == (10, 100))
        #expect(ledger.acknowledge(nextOffset: 10) == (0, 0))
        #expect(ledger.dropUndelivered() == (10, 100))
        #expect(ledger.records == 10)
        #expect(ledger.acknowledge(nextOffset: 20) == (10, 100))
        #expect(ledger.records == 0 && ledger.bytes == 0)
        #expect(ledger.position == 30)
    }

    @Test("the prefetch closes at its bound and opens at half of it", arguments: [true, false])
    func prefetch(byRecords: Bool) {
        var prefetch = Prefetch(
            recordsMax: byRecords ? 10 : 1_000_000, bytesMax: byRecords ? 1_000_000 : 10)
        prefetch.take(records: 9, bytes: 9)
        #expect(prefetch.isOpen)
        prefetch.take(records: 1, bytes: 1)
        #expect(!prefetch.isOpen)
        prefetch.giveBack((4, 4))
        #expect(!prefetch.isOpen)
        prefetch.giveBack((1, 1))
        #expect(prefetch.isOpen)
    }

    @Test("runs become batches that begin where the last one ended; letters settled early count")
    func runs() {
        var deliveries = PartitionDeliveries<Int, [Int]>(
            prefetch: Prefetch(recordsMax: 100, bytesMax: 100))
        deliveries.open(3, at: nil)
        var firsts: [Offset] = []
        func close() -> [PartitionIndex] {
            deliveries.closeRuns { run, first in
                firsts.append(first)
                return run.elements
            }
        }
        var run = 0
        deliveries.withRun(3) {
            $0.elements.append(1)
            $0.count(offset: 4, bytes: 1, time: 7)
            $0.letters = 1
            run = $0.id
        }
        deliveries.settleLetter(of: run, 3)
        #expect(close() == [3])
        #expect(deliveries.takeReady(3) == [1])
        deliveries.withRun(3) { $0.count(offset: 9, bytes: 1, time: nil) }
        deliveries.withRun(5) { $0.count(offset: 0, bytes: 1, time: nil) }
        _ = close()
        #expect(firsts == [-1, 5])
        #expect(deliveries.takeReady(3) == [])
        #expect(deliveries.takeReady(5) == nil)
        #expect(deliveries.prefetch.records == 2)
        let stale = deliveries.acknowledge(3, nextOffset: 3)
        let real = deliveries.acknowledge(3, nextOffset: 10)
        #expect(!stale && real)
        #expect(deliveries.prefetch.records == 0)
        deliveries.withRun(3) { $0.count(offset: 10, bytes: 1, time: nil) }
        _ = close()
        deliveries.close(3)
        #expect(deliveries.prefetch.records == 0)
    }
}

@Suite struct AssignmentTests {
    private func position(_ partition: PartitionIndex, _ offset: Offset?) -> StartPosition {
        StartPosition(partition: partition, offset: offset)
    }

    @Test("the rebalance is answered when every partition has its offset")
    func complete() {
        var assignment = Assignment()
        #expect(assignment.assigned([1, 0]) == [])
        #expect(assignment.begin([position(0, 7), position(9, 1)]) == [])
        #expect(assignment.owned == [0, 1])
        #expect(
            assignment.begin([position(1, nil)])
                == [.assign([position(0, 7), position(1, nil)])])
        #expect(assignment.reading == [0, 1])
        #expect(assignment.begin([position(1, 4)]) == [.move([position(1, 4)])])
        #expect(assignment.assigned([]) == [.assign([])])
    }

    @Test("a revocation is answered when all is released, or when the time is over")
    func revoke() {
        var assignment = Assignment()
        _ = assignment.assigned([0, 1, 2])
        _ = assignment.begin([position(0, 0), position(1, 0), position(2, 0)])
        #expect(assignment.revoked([0, 1], lost: false, deadline: 10) == [])
        #expect(!assignment.isSettled)
        #expect(assignment.reading == [2])
        #expect(assignment.release([0]) == [])
        #expect(assignment.release([1]) == [.unassign([0, 1])])
        #expect(assignment.release([1]) == [])
        #expect(assignment.revoked([2], lost: false, deadline: 10) == [])
        #expect(assignment.expire(now: 9.9) == [])
        #expect(assignment.expire(now: 10) == [.unassign([2])])
        #expect(assignment.isSettled)
    }

    @Test("what is lost, or was never begun, is given up at once")
    func lost() {
        var assignment = Assignment()
        _ = assignment.assigned([0])
        #expect(assignment.revoked([0], lost: false, deadline: 10) == [.unassign([0])])
        #expect(assignment.begin([position(0, 1)]) == [])
        _ = assignment.assigned([0])
        #expect(assignment.begin([position(0, 1)]) == [.assign([position(0, 1)])])
        #expect(assignment.revoked([0], lost: true, deadline: 10) == [.unassign([0])])
        #expect(assignment.owned == [])
    }
}

@Suite struct ToolBooksTests {
    @Test("a message repeats once an interval, with the count of those left out")
    func limiter() {
        var limiter = RateLimiter(intervalSeconds: 10)
        #expect(limiter.admit("a", now: 0) == 0)
        #expect(limiter.admit("a", now: 1) == nil)
        #expect(limiter.admit("b", now: 1) == 0)
        #expect(limiter.admit("a", now: 9) == nil)
        #expect(limiter.admit("a", now: 10) == 2)
        for key in 0..<(2 * RateLimiter.keysMax) { _ = limiter.admit("k\(key)", now: 11) }
    }

    @Test("the flow window counts what is ahead of the consumers, whatever lies in between")
    func window() {
        var window = FlowWindow()
        let marks = (0..<10_000).map { _ in window.add(bytes: 3) }
        #expect(window.aheadBytes == 30_000)
        for (index, mark) in marks.enumerated() {
            window.delivered(mark: mark, offset: Offset(index * 2))
        }
        window.consumed(upTo: 0)
        #expect(window.aheadBytes == 30_000)
        window.consumed(upTo: 1)
        #expect(window.aheadBytes == 29_997)
        window.consumed(upTo: 10_000)
        #expect(window.aheadBytes == 15_000)
        window.consumed(upTo: 9)
        #expect(window.aheadBytes == 15_000)
        window.consumed(upTo: 1_000_000)
        #expect(window.aheadBytes == 0)
    }

    @Test("a refused setting is named with its value, unless that is secret")
    func settings() {
        let types = EventTypes([EventType(name: "view", weight: 1, seen: .always)])
        func complaint(_ key: String, _ value: String) -> String {
            var configuration = KafkaConfiguration(brokers: "127.0.0.1:1", eventTypes: types)
            configuration.settings[key] = value
            do throws(KafkaError) {
                try configuration.checkSettings()
                return ""
            } catch {
                return error.reason
            }
        }
        #expect(complaint("linger.ms", "7") == "")
        #expect(complaint("linger.ms", "soon").contains("`linger.ms` = `soon`"))
        #expect(complaint("lingr.ms", "7").contains("`lingr.ms`"))
        #expect(complaint("auto.offset.reset", "latest").contains("cannot be passed through"))
        let hidden = complaint("sasl.oauthbearer.client.secret.x", "pssst")
        #expect(hidden.contains("(hidden)") && !hidden.contains("pssst"))
    }
}
