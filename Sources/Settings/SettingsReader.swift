// Walks the document along the table of keys, then checks what no key can check alone.

import Yams

enum SettingsReader {
    static func read(
        _ root: Node, into settings: inout MillraceSettings, _ findings: inout Findings
    ) {
        readSection(root, "", into: &settings, &findings)
    }

    private static func readSection(
        _ node: Node, _ section: String, into settings: inout MillraceSettings,
        _ findings: inout Findings
    ) {
        if node.isNull { return }
        guard let mapping = node.mapping else {
            let names = SettingKey.names(under: section).joined(separator: ", ")
            findings.add(node.mark, section, "is not a group of keys", allowed: names)
            return
        }
        for (name, value) in mapping {
            let text = name.scalar?.string ?? ""
            let path = section.isEmpty ? text : section + "." + text
            if let key = SettingKey.byPath[path] {
                findings.marks[path] = value.mark
                key.read(value, &settings, &findings)
            } else if SettingKey.sectionPaths.contains(path) {
                readSection(value, path, into: &settings, &findings)
            } else {
                tellUnknown(text, name.mark, in: section, &findings)
            }
        }
    }

    private static func tellUnknown(
        _ name: String, _ mark: Mark?, in section: String, _ findings: inout Findings
    ) {
        let siblings = SettingKey.names(under: section)
        let shown = quoted(name).dropFirst().dropLast()
        let path = section.isEmpty ? String(shown) : "\(section).\(shown)"
        var suggestion = Suggestion.nearest(to: name, among: siblings)
        if suggestion == nil {
            suggestion = SettingKey.all.map(\.path).first { $0.hasSuffix("." + name) }
        }
        findings.add(
            mark, path, "no such key",
            allowed: suggestion == nil ? siblings.joined(separator: ", ") : nil,
            suggestion: suggestion)
    }

    // MARK: - Several keys together

    static func checkTogether(_ settings: MillraceSettings, _ findings: inout Findings) {
        checkDistinct(settings, &findings)
        checkBounds(settings, &findings)
        if let name = settings.feeds.scenario, settings.lists.scenarios[name] == nil {
            let names = settings.lists.scenarios.keys.sorted()
            findings.add(
                keys: ["feeds.scenario"],
                "\(quoted(name)) is none of lists.scenarios (\(names.joined(separator: ", ")))")
        }
        for (shorter, longer) in zip(
            settings.popularity.halfLives, settings.popularity.halfLives.dropFirst())
        where shorter >= longer {
            findings.add(
                keys: ["popularity.half-lives"],
                "\(Units.text(longer)) after \(Units.text(shorter)): shortest first, each once")
        }
    }

    /// Names that must not be the same.
    private static func checkDistinct(_ settings: MillraceSettings, _ findings: inout Findings) {
        let kafka = settings.kafka
        let fields = kafka.interactionFields
        let itemFields = kafka.itemFields
        let groups: [[(key: String, value: String)]] = [
            [
                ("kafka.topics.dead-letters", kafka.topics.deadLetters),
                ("kafka.topics.items", kafka.topics.items),
                ("kafka.topics.interactions", kafka.topics.interactions),
            ] + (settings.feeds.topic.map { [("feeds.topic", $0)] } ?? []),
            [
                ("kafka.fields.interaction.user", fields.user),
                ("kafka.fields.interaction.item", fields.item),
                ("kafka.fields.interaction.type", fields.type),
                ("kafka.fields.interaction.value", fields.value),
                ("kafka.fields.interaction.time", fields.time),
                ("kafka.fields.interaction.event-id", fields.eventID),
            ],
            [
                ("kafka.fields.item.title", itemFields.title),
                ("kafka.fields.item.brand", itemFields.brand),
                ("kafka.fields.item.categories", itemFields.categories),
                ("kafka.fields.item.description", itemFields.description),
                ("kafka.fields.item.price", itemFields.price),
                ("kafka.fields.item.available", itemFields.available),
                ("kafka.fields.item.expires", itemFields.expires),
            ],
            [
                ("operations.path", settings.operations.path),
                ("socket.path", settings.socket.path),
            ],
        ]
        for group in groups {
            var keyByValue: [String: String] = [:]
            for (key, value) in group {
                guard let other = keyByValue.updateValue(key, forKey: value) else { continue }
                findings.add(
                    keys: [key, other], "\(quoted(value)) is the value of \(key) and of \(other)")
            }
        }
    }

    /// Limits that would make each other useless.
    private static func checkBounds(_ settings: MillraceSettings, _ findings: inout Findings) {
        let kafka = settings.kafka
        let socket = settings.socket
        let pairs: [(small: (String, Int), large: (String, Int), text: (Int) -> String)] = [
            (
                ("kafka.batch-records", kafka.batchRecordsMax),
                ("kafka.prefetch-records", kafka.prefetchRecordsMax), { "\($0)" }
            ),
            (
                ("kafka.payload-max", kafka.payloadBytesMax),
                ("kafka.prefetch-bytes", kafka.prefetchBytesMax), Units.text(bytes:)
            ),
            (
                ("kafka.item-payload-max", kafka.itemPayloadBytesMax),
                ("kafka.prefetch-bytes", kafka.prefetchBytesMax), Units.text(bytes:)
            ),
            (
                ("socket.bulk-max", socket.bulkBytesMax),
                ("socket.frame-max", socket.frameBytesMax), Units.text(bytes:)
            ),
        ]
        for (small, large, text) in pairs where small.1 > large.1 {
            findings.add(
                keys: [small.0, large.0],
                "\(small.0) (\(text(small.1))) is more than \(large.0) (\(text(large.1)))")
        }
    }

    // MARK: - Secrets

    static func checkSecrets(_ settings: MillraceSettings, _ findings: inout Findings) {
        var sources: [(key: String, source: SecretSource)] = []
        if let password = settings.redis.password { sources.append(("redis.password", password)) }
        if let key = settings.summaries.key { sources.append(("summaries.http.key", key)) }
        for (name, value) in settings.kafka.librdkafka.sorted(by: { $0.key < $1.key }) {
            if case .secret(let source) = value {
                sources.append(("kafka.librdkafka.\(name)", source))
            }
        }
        for (key, source) in sources {
            do {
                _ = try source.read()
            } catch {
                let place = key.hasPrefix("kafka.librdkafka") ? "kafka.librdkafka" : key
                findings.add(findings.marks[place], key, "\(error)")
            }
        }
    }
}
