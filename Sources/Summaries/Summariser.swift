// Who writes summaries. The template computes them on the spot; others are asked, and answer when they can.

/// One event of a block as a summariser sees it.
public struct SummaryItem: Sendable, Hashable {
    /// The title, or the item's identifier where the catalogue does not have it.
    public var title: String
    public var brand: String?
    public var categories: [String]
    public var price: Double?
    /// The name of the event's type.
    public var event: String

    public init(
        title: String, brand: String? = nil, categories: [String] = [], price: Double? = nil,
        event: String
    ) {
        self.title = title
        self.brand = brand
        self.categories = categories
        self.price = price
        self.event = event
    }
}

/// What a summariser is asked: a step of LLM-TRSR.
public struct SummaryRequest: Sendable, Hashable {
    /// The summary so far; nil for a first block, or a part.
    public var previous: String?
    /// Oldest first.
    public var block: [SummaryItem]
    /// Summaries of consecutive parts, oldest first, to be made one; then nothing else is asked.
    public var parts: [String] = []

    public init(previous: String?, block: [SummaryItem]) {
        self.previous = previous
        self.block = block
    }

    public init(merging parts: [String]) {
        previous = nil
        block = []
        self.parts = parts
    }
}

/// Why there is no summary.
public enum SummaryFailure: Error, Sendable, Hashable {
    case timeout
    /// Worth another try later: the reason names what, where and the way out.
    case unavailable(String)
    /// The answer is no summary: empty, too long, not a text.
    case unusable(String)

    public var reason: String {
        switch self {
        case .timeout: "no answer in time"
        case .unavailable(let reason), .unusable(let reason): reason
        }
    }
}

public protocol Summariser: Sendable {
    /// `template`, `http`, `local`.
    var name: String { get }
    /// Hash of everything that decides what is written: name, model, prompts, parameters. A summary of another version
    /// is not continued.
    var version: UInt64 { get }
}

/// Writes texts elsewhere and takes its time.
public protocol TextSummariser: Summariser {
    /// Answers once, on any thread. Never blocks the caller.
    func summarise(
        _ request: SummaryRequest,
        reply: @escaping @Sendable (Result<String, SummaryFailure>) -> Void)
    /// Gives up what is under way; nothing is asked afterwards.
    func stop()
}

/// Longest summary that is kept, in bytes: a text of some 500 words.
public let summaryTextBytesMax = 4_096

/// A summariser's answer as it is kept: without control characters, not empty, at most `summaryTextBytesMax`.
public func usableSummary(_ text: String) throws(SummaryFailure) -> [UInt8] {
    guard text.utf8.count <= summaryTextBytesMax else {
        throw .unusable(
            "the summary has \(text.utf8.count) bytes, \(summaryTextBytesMax) are kept: "
                + "lower summaries.tokens-max")
    }
    let clean = OneLine.of(text)
    guard !clean.isEmpty else { throw .unusable("the summary is empty") }
    return Array(clean.utf8)
}

/// Text from outside on one line.
public enum OneLine {
    /// Runs of blanks and control characters become one blank; line and paragraph separators count among them.
    public static func of(_ text: String, bytesMax: Int = .max) -> String {
        var clean = String.UnicodeScalarView()
        var pendingBlank = false
        var bytes = 0
        for scalar in text.unicodeScalars {
            guard !isBlank(scalar) else {
                pendingBlank = !clean.isEmpty
                continue
            }
            let more = UTF8.width(scalar) + (pendingBlank ? 1 : 0)
            guard bytes + more <= bytesMax else { break }
            if pendingBlank { clean.append(" ") }
            pendingBlank = false
            clean.append(scalar)
            bytes += more
        }
        return String(clean)
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value <= 0x20 || (0x7F...0xA0).contains(scalar.value)
            || [0x85, 0x2028, 0x2029, 0xFEFF].contains(scalar.value)
    }
}
