// Promise G5 by a clock of the test's own: what is left out when, what the reply says of it, and that nothing waits for
// long.

import Filters
import Interactions
import Ports
import TestKit
import Testing

@testable import Pipeline

@Suite("the deadline ladder")
struct LadderTests {
    @Test(
        "the longer a request has waited, the cheaper its list, and the reply says so",
        arguments: [
            (0.0, "mix", []), (24.0, "mix", []), (26.0, "cf", ["mixture: overload"]),
            (49.0, "cf", ["mixture: overload"]),
            (51.0, "popular", ["mixture: overload", "cf: overload"]),
            (74.0, "popular", ["mixture: overload", "cf: overload"]),
        ] as [(Double, String, [String])])
    func waits(waited: Double, rung: String, missing: [String]) throws {
        let stage = try LadderStage()
        let answer = try stage.ask(waited: waited)
        let list = try #require(answer.list)
        #expect(list.rung.hasPrefix(rung) && !list.items.isEmpty, "\(list.rung)")
        #expect(answer.missing == missing)
        #expect(list.isHurried == !missing.isEmpty)
    }

    @Test("beyond the last quarter there is no list but a clear word, at once")
    func busy() throws {
        let stage = try LadderStage()
        let late = try stage.ask(waited: 76)
        #expect(late.error?.code == .busy)
        #expect(late.error?.reason.contains("76 ms of its 100 ms") == true)
        #expect(stage.number("requests_refused_late") == 1)
        // The same wait is little of a longer deadline.
        let patient = try stage.ask(waited: 76) { $0.deadlineMilliseconds = 1_000 }
        #expect(patient.list?.rung.hasPrefix("mix") == true)
    }

    @Test("a rung that would not end in time is left out, and tried again after a while")
    func slowRung() throws {
        let stage = try LadderStage()
        stage.coordinator.costs.record(.mixture, isRuled: false, cost: 40, at: stage.watch.now)
        let hurried = try stage.ask()
        #expect(hurried.list?.rung == "cf" && hurried.missing == ["mixture: deadline"])
        // 40 + 4 * 20 ms fit into three quarters of 200.
        let patient = try stage.ask { $0.deadlineMilliseconds = 200 }
        #expect(patient.missing.isEmpty)
        // Lists under rules are measured apart.
        let ruled = try stage.ask { $0.filter = try? Filter("available") }
        #expect(ruled.missing.isEmpty)
        stage.coordinator.costs.record(.mixture, isRuled: false, cost: 200, at: stage.watch.now)
        stage.turn(1_000)
        #expect(try stage.ask().missing == ["mixture: deadline"])
        stage.turn(4_000)
        #expect(try stage.ask().missing.isEmpty)
    }

    @Test("what a rung costs is learnt from the lists themselves")
    func measured() throws {
        let stage = try LadderStage()
        stage.watch.setStep(30)
        _ = try stage.ask { $0.deadlineMilliseconds = 10_000 }
        stage.watch.setStep(0)
        #expect(try stage.ask().missing == ["mixture: deadline"])
    }

    @Test("lists of one rung, and plain ones, go down the same ladder")
    func otherModes() throws {
        let stage = try LadderStage()
        let counted = try stage.ask(waited: 60) { $0.mode = .cf }
        #expect(counted.list?.rung == "popular" && counted.missing == ["cf: overload"])
        let popular = try stage.ask(waited: 60) { $0.mode = .popular }
        #expect(popular.list?.rung == "popular" && popular.missing.isEmpty)
    }

    @Test(
        "a user whose state does not come in time gets what is popular; those in time the full list"
    )
    func slowState() throws {
        let stage = try LadderStage { $0.usersCachedMax = 2 }
        stage.holdsLoads = true
        let hurried = try (0..<3).map { _ in try stage.ask("absent") }
        let patient = try stage.ask("absent") { $0.deadlineMilliseconds = 1_000 }
        stage.turn(70)
        #expect(hurried.allSatisfy { $0.result == nil })
        stage.turn(10)
        for answer in hurried {
            #expect(answer.list?.rung == "popular" && answer.missing == ["state: slow"])
        }
        #expect(patient.result == nil)
        #expect(stage.number("requests_waiting_for_state") == 1)
        stage.letGo()
        #expect(patient.list != nil && patient.missing.isEmpty)
        #expect(hurried.allSatisfy { $0.count == 1 })
        #expect(stage.number("requests_waiting_for_state") == 0)
        // And again from the beginning.
        stage.holdsLoads = false
        #expect(try stage.ask("another").missing.isEmpty)
    }

    @Test(
        "however many wait for one user, the store is asked once, and answered requests leave nothing"
    )
    func boundedWaiting() throws {
        var room = WaitingRoom()
        var answered = 0
        let user = try #require(UserID("u"))
        for round in 0..<1_000 {
            let isFirst = room.add(
                .init(wanted: .state(user), dueAt: Double(round)) { _ in answered += 1 })
            #expect(isFirst == (round == 0))
            for guest in room.takeOverdue(Double(round)) { guest.body(.nothing) }
            #expect(room.guests.isEmpty)
        }
        #expect(answered == 1_000 && room.asked.count == 1)
        let none = room.take(.state(user))
        #expect(none.isEmpty && room.asked.isEmpty)
    }

    @Test("a filter asks no more items than there is time for, and the reply says so")
    func cut() throws {
        let stage = try LadderStage(items: 1_500)
        let nothing = try Filter("brand = 'nobody'")
        let hurried = try stage.ask {
            $0.filter = nothing
            $0.deadlineMilliseconds = 1
        }
        #expect(hurried.list?.items.isEmpty == true && hurried.list?.isHurried == true)
        #expect(hurried.missing == ["catalogue: deadline"])
        let patient = try stage.ask { $0.filter = nothing }
        #expect(patient.list?.items.isEmpty == true && patient.missing.isEmpty)
        // What is found in time is the same list.
        let some = try Filter("brand = 'b1'")
        let few = try stage.ask {
            $0.filter = some
            $0.deadlineMilliseconds = 1
        }
        let all = try stage.ask { $0.filter = some }
        #expect(few.list?.items == all.list?.items && all.list?.items.count == 5)
    }

    @Test("a queue that takes longer than a request has is not joined; its length is bounded")
    func door() {
        let gate = AdmissionGate(heldMax: 100)
        var nanoseconds: UInt64 = 0
        // Turns of 10 ms, with others waiting.
        for _ in 0..<50 { #expect(gate.enter(toBeginWithin: 1) == nil) }
        for _ in 0..<49 {
            nanoseconds += 10_000_000
            gate.begin(atNanoseconds: nanoseconds, isPressed: true)
        }
        #expect((0.009...0.011).contains(gate.turnSeconds))
        for _ in 0..<7 { #expect(gate.enter(toBeginWithin: 0.075) == nil) }
        #expect(gate.enter(toBeginWithin: 0.075)?.code == .busy)
        #expect(gate.enter(toBeginWithin: 1) == nil)
        #expect(gate.waitingCount == 9 && gate.heldCount == 58 && gate.refusedCount == 1)
        // Nobody waits longer than somebody stands in line.
        for _ in 0..<9 {
            nanoseconds += 1_000
            gate.begin(atNanoseconds: nanoseconds, isPressed: true)
        }
        for _ in 0..<100 {
            #expect(gate.enter(toBeginWithin: 1) == nil)
            nanoseconds += 60_000_000_000
            gate.begin(atNanoseconds: nanoseconds, isPressed: true)
            gate.leave()
        }
        #expect(gate.turnSeconds < 0.000_1)
        for _ in 0..<42 { #expect(gate.enter(toBeginWithin: 1) == nil) }
        let full = gate.enter(toBeginWithin: 60)
        #expect(full?.reason.contains("serving.requests-max") == true)
        gate.leave()
        #expect(gate.enter(toBeginWithin: 60) == nil)
    }

    /// A queue, a server whose rungs take the time given, and five times the requests that the dearest allows: by the
    /// same gate, budget and costs as in the daemon.
    @Test(
        "under five times the load everybody is answered or refused in time, and work goes on",
        arguments: [
            (full: 1.0, rules: 0.15, popular: 0.05), (full: 1.0, rules: 0.5, popular: 0.15),
            (full: 1.0, rules: 0.6, popular: 0.5),
        ])
    func overload(cost: (full: Double, rules: Double, popular: Double)) throws {
        let gate = AdmissionGate(heldMax: 10_000)
        var costs = ListCosts()
        var random = SeededRandom(seed: 9)
        var queue: [Double] = []
        var head = 0
        var now = 0.0
        var arrival = 0.0
        var latest = 0.0
        var counts: [LadderStep: Int] = [:]
        var refused = 0
        var longest = 0
        func arrive(until end: Double) {
            while arrival <= end, arrival < 4_000 {
                if gate.enter(toBeginWithin: 0.075) == nil {
                    queue.append(arrival)
                } else {
                    refused += 1
                }
                arrival += Double.random(in: 0...0.4, using: &random)
            }
            longest = max(longest, queue.count - head)
        }
        arrive(until: 0)
        while head < queue.count || arrival < 4_000 {
            if head == queue.count {
                now = arrival
                arrive(until: now)
                continue
            }
            let budget = Budget(arrivedAt: queue[head], limit: 100)
            head += 1
            gate.begin(
                atNanoseconds: UInt64(now * 1e6), isPressed: now - budget.arrivedAt > 50)
            var chosen: LadderStep?
            for rung in [LadderStep.mixture, .rules, .popular] {
                let estimate = costs.estimate(rung, isRuled: false, at: now)
                if budget.refusal(of: rung, cost: estimate, at: now) == nil {
                    chosen = rung
                    break
                }
            }
            if let chosen {
                let spent =
                    switch chosen {
                    case .mixture: cost.full
                    case .rules: cost.rules
                    default: cost.popular
                    }
                now += spent
                costs.record(chosen, isRuled: false, cost: spent, at: now)
                counts[chosen, default: 0] += 1
                latest = max(latest, now - budget.arrivedAt)
            } else {
                now += 0.001
                refused += 1
            }
            gate.leave()
            arrive(until: now)
        }
        let served = counts.values.reduce(0, +)
        // Nobody is answered late, and as much is served as the cheapest rung that fits allows.
        #expect(latest < 100)
        #expect(longest < 2_000)
        let possible = min(20_000, Int(4_000 / cost.popular))
        #expect(served > possible * 8 / 10, "\(counts), refused \(refused)")
        #expect(gate.heldCount == 0)
    }
}
