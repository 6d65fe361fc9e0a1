// The settings of refreshes that the daemon starts itself (docs/refresh.md).

public struct RefreshSettings: Sendable, Hashable {
    public var enabled = false
    /// Zero: never by time.
    public var interval = Duration.seconds(86_400)
    /// Zero: never by their number.
    public var events = 100_000
    /// Zero: never by drift.
    public var drift = 0.3
    public var newEventsMin = 1_000
    public var window = Duration.seconds(90 * 86_400)
    public var eventsMax = 1_000_000
    public var niceness = 19
    public var memoryBytesMax = 2 << 30
    public var timeMax = Duration.seconds(3_600)
    /// Further words for the command.
    public var options: [String] = []
    public var probation = 5_000
    public var rollBackError = 0.01
    public var adaptersKept = 10

    public init() {}
}

extension SettingKey {
    static let refresh: [SettingKey] = [
        SettingKey(
            "refresh.enabled", \.refresh.enabled, .boolean, effect: .reload,
            """
            Whether the daemon refreshes its model by itself; needs model.adapters. MODEL.REFRESH
            does so once, also where this is false.
            """),
        SettingKey(
            "refresh.interval", \.refresh.interval, .duration(.zero ... .seconds(365 * 86_400)),
            effect: .reload, "From one refresh to the next; 0s: never by time."),
        SettingKey(
            "refresh.events", \.refresh.events, .integer(0...1_000_000_000), effect: .reload,
            """
            Events after which a refresh is due earlier, counted from the last one or the start; 0:
            never by their number.
            """),
        SettingKey(
            "refresh.drift", \.refresh.drift, .number(0...0.99), effect: .reload,
            """
            Share of the model's NDCG@10 on the stream, measured over 2 000 sampled events, by which
            it may fall below that of its first ones before a refresh is due; 0: never by drift.
            """),
        SettingKey(
            "refresh.new-events-min", \.refresh.newEventsMin, .integer(10...1_000_000_000),
            effect: .reload,
            "Events that the adapter in use has not learnt from; with fewer no refresh is made."),
        SettingKey(
            "refresh.window", \.refresh.window,
            .duration(.seconds(1) ... .seconds(3_650 * 86_400)), effect: .reload,
            """
            Users whose newest event is younger take part, with their whole stored history: what is
            not new is replayed.
            """),
        SettingKey(
            "refresh.events-max", \.refresh.eventsMax, .integer(1_000...100_000_000),
            effect: .reload,
            "Events that take part, of the users who came last; about 100 bytes each on the disk."),
        SettingKey(
            "refresh.niceness", \.refresh.niceness, .integer(0...19), effect: .reload,
            "Of the process: at 19 it has what nobody else wants."),
        SettingKey(
            "refresh.memory-max", \.refresh.memoryBytesMax, .size(64 << 20...1 << 40),
            effect: .reload, "Of the process's data; beyond it the refresh fails."),
        SettingKey(
            "refresh.time-max", \.refresh.timeMax, .duration(.seconds(1) ... .seconds(7 * 86_400)),
            effect: .reload, "Wall time of the process; beyond it is ended."),
        SettingKey(
            "refresh.options", \.refresh.options,
            .list(of: .name(bytesMax: 256), 0...64, block: true), effect: .reload,
            "Further words for millrace refresh: --teacher, transitions, --epochs, 6, ..."),
        SettingKey(
            "refresh.probation", \.refresh.probation, .integer(0...100_000_000), effect: .reload,
            """
            Sampled events, at most 32 a second, over which a published adapter is compared with the
            one before; when it is shown to be worse, the daemon goes back. 0: never.
            """),
        SettingKey(
            "refresh.rollback-error", \.refresh.rollBackError, .number(0.000001...0.5),
            effect: .reload, "Probability of going back from an adapter that is not worse."),
        SettingKey(
            "refresh.adapters-kept", \.refresh.adaptersKept, .integer(2...1_000),
            effect: .reload,
            "Adapters that stay in the folder; the oldest that neither serve nor are pinned go."),
    ]
}
