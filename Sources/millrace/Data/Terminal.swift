// What long commands say on stderr while they work.

import Evaluation
import Glibc

/// A progress bar for commands that take longer than two seconds; a line every ten seconds when stderr is no
/// terminal.
struct ProgressBar {
    private let label: String
    private let total: Int?
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private var next: ContinuousClock.Instant
    private let isTerminal = isatty(2) == 1
    private var isDrawn = false

    private static let patience = Duration.seconds(2)

    init(_ label: String, total: Int?) {
        self.label = label
        self.total = total
        start = clock.now
        next = start + Self.patience
    }

    /// Cheap enough to be called for every line.
    mutating func update(_ done: Int) {
        let now = clock.now
        guard now >= next else { return }
        next = now + (isTerminal ? .milliseconds(200) : .seconds(10))
        isDrawn = true
        let text = text(done, elapsed: start.duration(to: now))
        writeError(isTerminal ? "\r\u{1b}[K" + text : text + "\n")
    }

    /// Clears the bar.
    func finish() {
        if isDrawn, isTerminal { writeError("\r\u{1b}[K") }
    }

    private func text(_ done: Int, elapsed: Duration) -> String {
        let seconds = Double(elapsed.components.seconds) + 0.001
        let rate = Int(Double(done) / seconds)
        guard let total, total > 0 else { return "\(label): \(grouped(done)), \(grouped(rate))/s" }
        let share = min(1, Double(done) / Double(total))
        let filled = Int(share * 30)
        let bar =
            String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        let left = rate > 0 ? (total - done) / rate : 0
        return "\(label) \(bar) \(fixed(share * 100, 0)) %, about \(left) s left"
    }
}

func writeError(_ text: String) {
    var text = text
    text.withUTF8 { bytes in _ = unsafe write(2, bytes.baseAddress, bytes.count) }
}

/// A failure with its way out, shown to the person who typed the command.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The words of `errno`.
func systemReason() -> String { unsafe String(cString: strerror(errno)) }
