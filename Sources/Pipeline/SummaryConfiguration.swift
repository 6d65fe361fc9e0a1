// How summaries of users are kept.

public import Interactions
public import Summaries

public struct SummaryConfiguration: Sendable {
    public enum Maker: Sendable {
        /// Computed in the fold.
        case template(TemplateSummariser)
        /// Asked, beside the event path.
        case writer(any TextSummariser)
    }

    public var maker: Maker
    public var blocks: BlockRules

    // Of writers only.

    public var jobsInFlightMax = 2
    public var jobsPerMinuteMax = 600
    /// Users waiting for their turn; a further one comes back with its next event.
    public var queueMax = 10_000
    /// First wait after a failure; it doubles with every further one.
    public var retryMilliseconds: Milliseconds = 1_000
    public var retryMillisecondsMax: Milliseconds = 60_000
    /// After so many failures the block waits for the user's next event.
    public var attemptsMax = 5
    /// A job without an answer for so long counts as failed.
    public var jobMillisecondsMax: Milliseconds = 120_000

    public init(_ maker: Maker, blocks: BlockRules = BlockRules()) {
        self.maker = maker
        self.blocks = blocks
    }

    var name: String {
        switch maker {
        case .template(let template): template.name
        case .writer(let writer): writer.name
        }
    }

    var version: UInt64 {
        switch maker {
        case .template(let template): template.version
        case .writer(let writer): writer.version
        }
    }
}

/// One step asked of a writer.
public struct SummaryJob: Sendable, Hashable {
    /// Of this run; an answer under another one is not waited for.
    public var id: UInt64
    public var request: SummaryRequest
}
