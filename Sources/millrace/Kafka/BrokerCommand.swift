// `millrace broker`: stands in until the real one lands.
import ArgumentParser
import Glibc
import KafkaIngest

struct BrokerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "broker", abstract: "Broker.")
    @Option var topic: [String] = []
    func run() throws {
        let topics = topic.map { text -> (name: String, partitions: Int32) in
            let parts = text.split(separator: ":")
            return (String(parts[0]), Int32(parts[1]) ?? 1)
        }
        try runDevelopmentBroker(
            topics: topics, brokers: 1,
            announce: {
                print($0)
                fflush(nil)
            }, nextCommand: { readLine() })
    }
}
