// How feed entries and hints look on the wire.

import Interactions
import Ports
import WireProtocol

enum FeedText {
    /// As Redis shows streams: a map from name to entries (pairs in RESP2), an entry being its id and its fields.
    static func write(_ entries: [FeedEntry], to writer: inout ReplyWriter) {
        var users: [UserID] = []
        var byUser: [UserID: [FeedEntry]] = [:]
        for entry in entries {
            if byUser[entry.user] == nil { users.append(entry.user) }
            byUser[entry.user, default: []].append(entry)
        }
        if writer.version == .resp3 { writer.map(users.count) } else { writer.array(users.count) }
        for user in users {
            if writer.version == .resp2 { writer.array(2) }
            writer.bulk(FeedReader.channel(user))
            let list = byUser[user] ?? []
            writer.array(list.count)
            for entry in list {
                writer.array(2)
                writer.bulk(entry.id.description)
                writeFields(entry, to: &writer)
            }
        }
    }

    private static func writeFields(_ entry: FeedEntry, to writer: inout ReplyWriter) {
        let asOf = entry.recommendation.asOf
        var fields: [(String, String)] = [
            ("items", JSONText.array(entry.recommendation.items.map(\.id.text))),
            ("rung", entry.recommendation.rung), ("partition", String(asOf.partition)),
            ("offset", String(asOf.nextOffset)), ("user_time", String(asOf.userTime)),
            ("age_ms", String(asOf.ageMilliseconds)), ("skipped", String(entry.skipped)),
        ]
        if let change = entry.change {
            fields += [
                ("since", change.since.description),
                ("added", JSONText.array(change.added.map(\.text))),
                ("removed", JSONText.array(change.removed.map(\.text))),
            ]
        }
        writer.array(fields.count * 2)
        for (name, value) in fields {
            writer.bulk(name)
            writer.bulk(value)
        }
    }

    static func message(_ entry: FeedEntry) -> String {
        let asOf = entry.recommendation.asOf
        let items = JSONText.array(entry.recommendation.items.map(\.id.text))
        let change = entry.change.map {
            "\"since\":\"\($0.since)\",\"added\":\(JSONText.array($0.added.map(\.text))),"
                + "\"removed\":\(JSONText.array($0.removed.map(\.text))),"
        }
        return "{\"id\":\"\(entry.id)\",\"items\":\(items),\(change ?? "")"
            + "\"rung\":\(JSONText.string(entry.recommendation.rung)),"
            + "\"partition\":\(asOf.partition),\"offset\":\(asOf.nextOffset),"
            + "\"age_ms\":\(asOf.ageMilliseconds),\"skipped\":\(entry.skipped)}"
    }

    static func message(_ hint: Hint, missed: Int) -> String {
        "{\"partition\":\(hint.asOf.partition),\"offset\":\(hint.asOf.nextOffset),"
            + "\"skipped\":\(hint.skipped + missed)}"
    }
}

/// The two pieces of JSON that messages need.
enum JSONText {
    static func array(_ texts: [String]) -> String {
        "[" + texts.map(string).joined(separator: ",") + "]"
    }

    static func string(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
