// The settings of the yes/no recommender.

public struct RankingSettings: Sendable, Hashable {
    public var folder: String?
    public var adapter: String?
    public var promptFolder: String?
    public var weightBytesMax = 4 << 30
    public var recentCount = 5
    public var candidatesMax = 20
    public var timeout = Duration.milliseconds(500)
    public var queueMax = 64
    public var learnShare = 0.1

    public init() {}
}

extension SettingKey {
    static let ranking: [SettingKey] = [
        SettingKey(
            "ranking.folder", \.ranking.folder, .orNull(.name(bytesMax: 4_096)),
            """
            A language model that ranks lists (MODE trsr): a Hugging Face folder of the Llama or Qwen
            families with tokenizer.json and a chat template; `millrace train-ranker` makes one.
            """),
        SettingKey(
            "ranking.adapter", \.ranking.adapter, .orNull(.name(bytesMax: 4_096)),
            "A PEFT folder with its adapter."),
        SettingKey(
            "ranking.prompts", \.ranking.promptFolder, .orNull(.name(bytesMax: 4_096)),
            """
            A folder with rank-instruction.txt and rank-question.txt in place of the built-in prompts, which
            are in Config/prompts. A ranker wants the words it was trained with.
            """),
        SettingKey(
            "ranking.weights-max", \.ranking.weightBytesMax, .size(1 << 20...1 << 40),
            "Memory of its weights, 4 bytes each; a larger model is refused."),
        SettingKey(
            "ranking.recent", \.ranking.recentCount, .integer(0...100),
            "Newest events of the user that it is shown one by one, beside the summary."),
        SettingKey(
            "ranking.candidates", \.ranking.candidatesMax, .integer(1...1_000),
            "The best of a list that it is asked about; CANDIDATES of a request are asked about whole."
        ),
        SettingKey(
            "ranking.timeout", \.ranking.timeout, .duration(.milliseconds(1) ... .seconds(60)),
            "A ranking that takes longer is not waited for: the list is answered as it stood."),
        SettingKey(
            "ranking.queue-max", \.ranking.queueMax, .integer(1...100_000),
            "Lists that may wait for it; a further one is answered as it stands."),
        SettingKey(
            "ranking.learn-share", \.ranking.learnShare, .number(0...1),
            """
            Share of its time that it is asked about lists whose item came, to learn what its odds
            are worth beside the combined list. 0: MODE trsr goes by its odds alone.
            """),
    ]
}
