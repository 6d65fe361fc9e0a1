// What the client commands share: where the daemon is, how replies are shown, and how titles are found.

import ArgumentParser
import Glibc
import WireProtocol

struct ClientOptions: ParsableArguments {
    @Option(help: "The daemon's Unix socket.")
    var socket = SocketClient.standardPath

    @Flag(help: "Print JSON, one object per line.")
    var json = false

    func connect() throws -> SocketClient { try SocketClient(path: socket) }
}

/// One place of a list as the terminal shows it.
struct ShownItem: Equatable {
    var id: String
    var score: Double?
    var source: String?
    var title: String?
}

extension SocketClient {
    /// Titles by item id; items without a readable record are left out.
    func titles(_ ids: [String]) throws(SocketClientError) -> [String: String] {
        let replies = try pipeline(ids.map { ["ITEM.GET", $0] })
        var titles: [String: String] = [:]
        for (id, reply) in zip(ids, replies) {
            if case .bulk(let json) = reply { titles[id] = RecordTitle.find(json) }
        }
        return titles
    }
}

/// Plain lines on the standard output.
enum Terminal {
    static var isInteractive: Bool { isatty(STDOUT_FILENO) == 1 }

    static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    static func line(_ text: String) { write(text + "\n") }

    /// Text from outside may hold control characters, which a terminal would obey.
    static func harmless(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                    return isControl ? " " : scalar
                }))
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text.count >= width ? text : text + String(repeating: " ", count: width - text.count)
    }

    static func number(_ value: Double) -> String {
        let scaled = (value * 10_000).rounded() / 10_000
        return ReplyWriter.text(scaled)
    }
}
