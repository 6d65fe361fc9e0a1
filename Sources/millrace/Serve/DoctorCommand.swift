// `millrace doctor`: asks every part the daemon depends on, changes nothing, and says what to do.

import ArgumentParser
import KafkaIngest
import Lanes
import Ports
import RedisState
import Settings
import Synchronization

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check settings, Kafka, Redis and the running daemon, and name the way out.",
        discussion:
            "Changes nothing. Exits 0 when nothing is wrong, 1 when something is, 78 for faulty settings."
    )

    @Option(name: .shortAndLong, help: "The settings file.", completion: .file())
    var config: String?

    private final class Answer: Sendable {
        let usage = Mutex<Result<StoreUsage, PortError>?>(nil)
        let given = Semaphore()
    }

    func run() throws {
        let settings = try CheckConfigCommand.settings(config)
        good("settings", SettingsFile.path(argument: config) ?? "the embedded defaults")
        let assembly = Assembly(settings: settings, clock: SystemClock())
        // Every check runs, so that one visit finds everything.
        let outcomes = [try kafka(assembly), try redis(assembly), daemon(settings)]
        if outcomes.contains(false) { throw ExitCode(1) }
    }

    private func good(_ part: String, _ text: String) { Terminal.line("ok       \(part): \(text)") }

    private func bad(_ part: String, _ text: String) -> Bool {
        Terminal.line("problem  \(part): \(Terminal.harmless(text))")
        return false
    }

    private func kafka(_ assembly: Assembly) throws -> Bool {
        let configuration = try assembly.kafka()
        do throws(KafkaError) { try configuration.checkSettings() } catch {
            return bad("kafka.librdkafka", error.reason)
        }
        var isWell = true
        for topic in [configuration.interactionsTopic, configuration.itemsTopic] {
            do throws(KafkaError) {
                let producer = try BulkProducer(
                    configuration: configuration, topic: topic, clock: SystemClock())
                good("topic \(topic)", "\(producer.partitionCount) partitions")
            } catch {
                isWell = bad(
                    "topic \(topic)", "\(error.reason); kafka.brokers is \(configuration.brokers)")
            }
        }
        return isWell
    }

    private func redis(_ assembly: Assembly) throws -> Bool {
        let settings = try assembly.redis()
        let store = RedisStateStore(settings)
        let answer = Answer()
        store.familyUsage { result in
            answer.usage.withLock { $0 = result }
            answer.given.signal()
        }
        let wasGiven = answer.given.wait(milliseconds: 5_000)
        store.stop(withinMilliseconds: 0) {}
        switch answer.usage.withLock({ $0 }) {
        case .success(let usage) where wasGiven:
            good(
                "redis \(settings.address)",
                "\(usage.users.entries) users in \(usage.users.bytes) bytes, \(usage.items.entries) items, "
                    + "\(usage.deltas.entries) statistics deltas since the checkpoint")
            return true
        case .failure(let error): return bad("redis \(settings.address)", error.reason)
        default: return bad("redis \(settings.address)", "no answer within five seconds")
        }
    }

    private func daemon(_ settings: MillraceSettings) -> Bool {
        do throws(SocketClientError) {
            let info = try StreamInfo(try SocketClient(path: settings.socket.path))
            guard info.isReady else { return bad("daemon", "still recovering its state") }
            var isWell = true
            for key in ["store_write_trouble", "store_read_trouble"] {
                if let trouble = info[key], trouble != "none" { isWell = bad(key, trouble) }
            }
            if let refused = info["rule_pairs_refused"], refused != "0" {
                isWell = bad(
                    "rules.pairs-max",
                    "\(refused) new pairs were refused: statistics are no longer exact; raise it and restart"
                )
            }
            good(
                "daemon \(settings.socket.path)",
                "\(info.eventsApplied) events applied since start, \(info.partitionsOwned) partitions"
            )
            return isWell
        } catch {
            return bad("daemon", error.description)
        }
    }
}
