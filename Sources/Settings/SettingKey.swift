// One descriptor per key: its path, words, codec and place in the values. Reading, checking, comparing and
// documenting
// all go through this table, so they cannot disagree.

import Yams

/// When a changed value takes effect.
public enum SettingEffect: String, Sendable, Encodable {
    /// At SIGHUP (`systemctl reload`).
    case reload
    case restart
}

struct SettingKey: Sendable {
    let path: String
    /// What the key is for: one paragraph.
    let summary: String
    /// Type and bounds in words.
    let annotation: String
    let effect: SettingEffect
    /// Reads the node into the settings, or tells what is wrong and leaves them.
    let read: @Sendable (Node, inout MillraceSettings, inout Findings) -> Void
    /// The value as YAML.
    let render: @Sendable (MillraceSettings) -> String
    /// Whether both hold the same value.
    let areEqual: @Sendable (MillraceSettings, MillraceSettings) -> Bool

    init<Value: Sendable & Equatable>(
        _ path: String, _ place: any WritableKeyPath<MillraceSettings, Value> & Sendable,
        _ codec: Codec<Value>, effect: SettingEffect = .restart, _ summary: String
    ) {
        self.path = path
        self.summary = summary
        annotation = "\(codec.type), \(codec.allowed)"
        self.effect = effect
        read = { node, settings, findings in
            if let value = codec.parse(node, path, &findings) { settings[keyPath: place] = value }
        }
        render = { codec.render($0[keyPath: place]) }
        areEqual = { $0[keyPath: place] == $1[keyPath: place] }
    }

    /// Every key, in the order of the file.
    static let all: [SettingKey] =
        input + state + refresh + recommending + mixture + teachers + summaries + ranking + lists
        + output
        + around

    static let byPath = Dictionary(uniqueKeysWithValues: all.map { ($0.path, $0) })

    /// Every group of keys, with what it is about.
    static let sections: [(path: String, summary: String)] = [
        ("kafka", "The event log: where interactions and items come from."),
        ("kafka.topics", "Topics read and written."),
        ("kafka.fields", "Names under which the JSON of a record carries what is read."),
        ("kafka.fields.interaction", "Records of the interactions topic."),
        ("kafka.fields.item", "Records of the items topic."),
        ("events", "What the kinds of interaction mean."),
        ("redis", "Where the state is kept, together with the offset that produced it."),
        ("engine", "How much is remembered, and how much of it stays in memory."),
        ("model", "The item-aware language model."),
        ("refresh", "Refreshes of the model beside serving (docs/refresh.md)."),
        ("rules", "Sequential rules: which items follow which."),
        ("popularity", "What is in demand, with old demand fading."),
        ("mixture", "One list from all sources, learnt from the stream (docs/combiner.md)."),
        ("teachers", "Collaborative models beside the rules (docs/teachers.md)."),
        ("summaries", "A short text of what each user likes (docs/summaries.md)."),
        ("summaries.http", "The server that writes summaries."),
        ("ranking", "A language model that is asked about each item of a list (docs/ranker.md)."),
        ("catalogue", "Items known by their own records."),
        ("lists", "How scored items become lists (docs/lists.md)."),
        ("serving", "Answers to requests."),
        ("feeds", "Lists pushed as they change."),
        ("socket", "The Unix socket that speaks the Redis protocol."),
        ("socket.access", "Who may do what. Root and the daemon's own user always may everything."),
        ("operations", "Metrics, health and the status page, over HTTP."),
        ("telemetry", "What the daemon tells of itself."),
        ("shutdown", "How it ends."),
    ]

    static let sectionPaths = Set(sections.map(\.path))

    /// The names directly under a section (empty path: the sections of the file).
    static func names(under section: String) -> [String] {
        let depth = section.isEmpty ? 0 : section.split(separator: ".").count
        var names: [String] = []
        for key in all where section.isEmpty || key.path.hasPrefix(section + ".") {
            let name = String(key.path.split(separator: ".")[depth])
            if names.last != name { names.append(name) }
        }
        return names
    }
}
