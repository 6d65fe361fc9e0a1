// The settings of users' summaries.

public struct SummarySettings: Sendable, Hashable {
    public enum Maker: String, Sendable, CaseIterable {
        case none, template
    }

    public var summariser = Maker.template
    public var blockSize = 5
    public var openEventsMax = 100

    public init() {}
}

extension SettingKey {
    static let summaries: [SettingKey] = [
        SettingKey(
            "summaries.summariser", \.summaries.summariser, .choice,
            """
            Who writes a user's summary: none, or template (counts of traits, computed as events come).
            """),
        SettingKey(
            "summaries.block-size", \.summaries.blockSize, .integer(1...100),
            "Events after which a user's summary is made again."),
        SettingKey(
            "summaries.open-events-max", \.summaries.openEventsMax, .integer(1...1_000),
            """
            Events of a user that may wait for a summary to take them in, at least a block; beyond it
            the oldest block is lost to the summary, and counted. The template never waits.
            """),
    ]
}
