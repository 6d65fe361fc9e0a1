// The settings of users' summaries.

public struct SummarySettings: Sendable, Hashable {
    public enum Maker: String, Sendable, CaseIterable {
        case none, template, http, local
    }

    public var summariser = Maker.template
    public var blockSize = 5
    public var openEventsMax = 100
    public var repairBlocks = 20
    public var promptFolder: String?
    public var model = "default"
    public var folder: String?
    public var weightBytesMax = 4 << 30
    public var tokensMax = 160
    public var temperature = 0.0
    public var seed = 42
    public var jobsMax = 2
    public var jobsPerMinuteMax = 600
    public var queueMax = 10_000
    public var attemptsMax = 5
    public var timeout = Duration.seconds(60)
    public var address = RedisSettings.Address.tcp(HostPort(host: "127.0.0.1", port: 8_080))
    public var path = "/v1/chat/completions"
    public var key: SecretSource?

    public init() {}
}

extension SettingKey {
    static let summaries: [SettingKey] = [
        SettingKey(
            "summaries.summariser", \.summaries.summariser, .choice,
            """
            Who writes a user's summary: none; template (counts of traits, no language model); http (a
            language model behind any OpenAI-compatible server); local (an instruct checkpoint run here).
            """),
        SettingKey(
            "summaries.block-size", \.summaries.blockSize, .integer(1...100),
            "Events after which a user's summary is made again."),
        SettingKey(
            "summaries.open-events-max", \.summaries.openEventsMax, .integer(1...1_000),
            """
            Events of a user that may wait for a language model, at least a block; beyond it the oldest
            block is lost to the summary, and counted. The template loses none.
            """),
        SettingKey(
            "summaries.repair-blocks", \.summaries.repairBlocks, .integer(0...1_000_000),
            """
            Blocks after which a language model's summary is written anew from the events that the history
            still has, in parts that are merged; 0 is never.
            """),
        SettingKey(
            "summaries.prompts", \.summaries.promptFolder, .orNull(.name(bytesMax: 4_096)),
            """
            A folder with instruction.txt, first.txt, next.txt and merge.txt in place of the built-in prompts, which
            are in Config/prompts. Other words are another version: summaries begin anew.
            """),
        SettingKey(
            "summaries.model", \.summaries.model, .name(bytesMax: 256),
            "The model's name at the server."
        ),
        SettingKey(
            "summaries.folder", \.summaries.folder, .orNull(.name(bytesMax: 4_096)),
            """
            The checkpoint of local: a Hugging Face folder of the Llama or Qwen families, with
            tokenizer.json and a chat template.
            """),
        SettingKey(
            "summaries.weights-max", \.summaries.weightBytesMax, .size(1 << 20...1 << 40),
            "Memory of that checkpoint's weights, 4 bytes each; a larger one is refused."),
        SettingKey(
            "summaries.tokens-max", \.summaries.tokensMax, .integer(16...2_048),
            "Longest summary, in tokens of the model."),
        SettingKey(
            "summaries.temperature", \.summaries.temperature, .number(0...2),
            "0 takes the likeliest words."),
        SettingKey(
            "summaries.seed", \.summaries.seed, .integer(0...2_147_483_647),
            "Of the draw of words, where the temperature is not 0."),
        SettingKey(
            "summaries.jobs-max", \.summaries.jobsMax, .integer(1...64),
            "Summaries being written at a time."),
        SettingKey(
            "summaries.jobs-per-minute", \.summaries.jobsPerMinuteMax, .integer(1...1_000_000),
            "Budget; users whose feed is watched come first."),
        SettingKey(
            "summaries.queue-max", \.summaries.queueMax, .integer(1...1_000_000),
            "Users in line; a further one comes back with its next event."),
        SettingKey(
            "summaries.attempts-max", \.summaries.attemptsMax, .integer(1...100),
            "Failures after which a block waits for the user's next event; waits between double."),
        SettingKey(
            "summaries.timeout", \.summaries.timeout,
            .duration(.milliseconds(10) ... .seconds(3_600)), "Longest wait for an answer."),
        SettingKey(
            "summaries.http.address", \.summaries.address, .redisAddress,
            "Where the server listens. There is no TLS: put a proxy before a server elsewhere."),
        SettingKey(
            "summaries.http.path", \.summaries.path,
            .text("an absolute path of at most 256 printable characters") { text in
                text.hasPrefix("/") && text.utf8.count <= 256
                    && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            }, "Path of chat completions."),
        SettingKey(
            "summaries.http.key", \.summaries.key, .orNull(.secret), "Sent as bearer token."),
    ]
}
