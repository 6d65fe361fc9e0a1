// `millrace repartition`: after the topic of interactions got more partitions, every user goes to the partition that is
// theirs now.

import ArgumentParser
import Evaluation
import Interactions
import KafkaIngest
import Lanes
import Pipeline
import Ports
import RedisState
import Settings
import Synchronization

struct RepartitionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repartition",
        abstract: "Move users to the partitions that a grown topic gives them.",
        discussion: """
            Stop every instance, add partitions to the topic, run this, start the instances. Statistics, offsets and
            models stay; records that were in the log before and were not read yet are brought to their users'
            new partitions by the daemon. Run again, it goes on where it was interrupted.
            Exits 0 when every user is at home, 1 when something is in the way, 78 for faulty settings.
            """)

    @Option(name: .shortAndLong, help: "The settings file.", completion: .file())
    var config: String?

    @Flag(help: "Print one JSON object instead of a sentence.")
    var json = false

    private final class Answer: Sendable {
        let outcome = Mutex<Result<Repartition<RedisStateStore>.Progress, PortError>?>(nil)
        let given = Semaphore()
    }

    func run() throws {
        let settings = try CheckConfigCommand.settings(config)
        let assembly = Assembly(settings: settings, clock: SystemClock())
        let kafka = try assembly.kafka()
        let count: Int32
        do throws(KafkaError) {
            count = try BulkProducer(
                configuration: kafka, topic: kafka.interactionsTopic, clock: SystemClock()
            ).partitionCount
        } catch {
            throw CommandFailure("\(error.reason); kafka.brokers is \(settings.kafka.brokers)")
        }
        let done = try move(to: count, assembly)
        if json {
            print("{\"partitions\": \(count), \"users\": \(done.seen), \"moved\": \(done.moved)}")
        } else if done.seen == 0 {
            print("The state is laid out for \(count) partitions: nobody has to move.")
        } else {
            print(
                "\(grouped(Int(done.moved))) users were moved, and the state is laid out for \(count) partitions."
            )
        }
    }

    private func move(
        to count: Int32, _ assembly: Assembly
    ) throws -> Repartition<RedisStateStore>.Progress {
        let store = RedisStateStore(try assembly.redis())
        defer { store.stop(withinMilliseconds: 1_000) {} }
        let partitioner = assembly.partitioner
        let repartition = Repartition(
            store, partitioner: assembly.settings.kafka.partitioner.rawValue
        ) { user, count in partitioner.partition(of: user, count: count) }
        let bar = Mutex<ProgressBar?>(nil)
        let answer = Answer()
        Task.detached {
            do throws(PortError) {
                let done = try await repartition.run(to: count) { progress in
                    bar.withLock { bar in
                        if bar == nil { bar = ProgressBar("users", total: Int(progress.total)) }
                        bar?.update(Int(progress.seen))
                    }
                }
                answer.outcome.withLock { $0 = .success(done) }
            } catch {
                answer.outcome.withLock { $0 = .failure(error) }
            }
            answer.given.signal()
        }
        answer.given.wait()
        bar.withLock { $0?.finish() }
        switch answer.outcome.withLock({ $0 }) {
        case .success(let done)?: return done
        case .failure(let error)?: throw CommandFailure(error.reason)
        case nil: throw CommandFailure("nothing was answered")
        }
    }
}
