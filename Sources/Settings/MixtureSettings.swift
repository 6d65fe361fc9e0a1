// The settings of the combined list.

public struct MixtureSettings: Sendable, Hashable {
    public var enabled = true
    public var learnInterval = 64
    public var shortList = true
    public var model = true
    public var tokenHead = false
    public var listsMax = 3_000
    public var refitInterval = 500

    public init() {}
}

extension SettingKey {
    static let mixture: [SettingKey] = [
        SettingKey(
            "mixture.enabled", \.mixture.enabled, .boolean,
            """
            Whether MODE auto combines all sources, as soon as enough was learnt. Off, it is MODE
            cf and nothing is learnt. It counts further popularity.half-lives: switching it on or
            off folds all histories again.
            """),
        SettingKey(
            "mixture.learn-interval", \.mixture.learnInterval, .integer(1...1_000_000),
            """
            One of so many events is scored and learnt from, by its hash: each costs as much as a
            list. 64 keeps up with 80 000 events a second; smaller logs learn sooner with less.
            The first 1 000 events of a log are all learnt from, half of the next 1 000, a third
            of the next, and so on until it is one of this many.
            """),
        SettingKey(
            "mixture.short-list", \.mixture.shortList, .boolean,
            "Whether a second, list-wise stage orders the first places again."),
        SettingKey(
            "mixture.model", \.mixture.model, .boolean,
            "Whether the item-aware model takes part, where there is one."),
        SettingKey(
            "mixture.token-head", \.mixture.tokenHead, .boolean,
            """
            Whether the second stage also sees how likely the model's token head is to write the
            texts of the short list.
            """),
        SettingKey(
            "mixture.lists-max", \.mixture.listsMax, .integer(200...100_000),
            "Latest lists that are learnt from: 5 to 8 KB each, in memory and in checkpoints."),
        SettingKey(
            "mixture.refit-interval", \.mixture.refitInterval, .integer(50...1_000_000),
            """
            Learnt lists between two fits of the weights; while few lists are held, half as many
            as are. New weights serve a fifth of it later; events wait for a fit that takes longer.
            """),
    ]
}
