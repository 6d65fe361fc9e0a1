// Text of users and items in prompts: in sections of its own, which it cannot end.

import Interactions

/// How prompts are checked and filled.
public enum PromptText {
    /// Longest file of a prompt, in bytes.
    public static let bytesMax = 16 << 10

    /// A prompt has a sensible length and holds each of `marks` once, in this order.
    static func check(_ name: String, _ text: String, marks: [String]) throws(PromptFault) {
        guard (1...bytesMax).contains(text.utf8.count) else {
            throw PromptFault(
                description: "prompt '\(name)' has \(text.utf8.count) bytes: "
                    + "1 to \(bytesMax) are accepted")
        }
        for mark in marks
        where text.split(separator: mark, omittingEmptySubsequences: false).count != 2 {
            throw PromptFault(description: "prompt '\(name)' must hold \(mark) exactly once")
        }
    }

    /// What was put in is not looked at again: values hold no braces.
    static func fill(_ text: String, _ values: [(mark: String, value: String)]) -> String {
        values.reduce(text) { text, entry in
            text.split(separator: entry.mark, omittingEmptySubsequences: false)
                .joined(separator: entry.value)
        }
    }

    /// A user's events, numbered, between tags.
    static func records(_ events: [SummaryItem]) -> String {
        section(
            "records",
            events.enumerated().map { "\($0 + 1). \(quoted($1.event, bytesMax: 64)): \(line($1))" })
    }

    /// A summary between tags; `number` tells several apart.
    static func description(_ summary: String, number: Int? = nil) -> String {
        section(
            "description" + (number.map { "-\($0)" } ?? ""),
            [quoted(summary, bytesMax: summaryTextBytesMax)])
    }

    static func section(_ tag: String, _ lines: [String]) -> String {
        "<\(tag)>\n\(lines.joined(separator: "\n"))\n</\(tag)>"
    }

    /// What an item is, on one line.
    static func line(_ item: SummaryItem) -> String {
        var parts = [quoted(item.title, bytesMax: 300)]
        if let brand = item.brand { parts.append("brand: \(quoted(brand, bytesMax: 80))") }
        if !item.categories.isEmpty {
            let names = item.categories.prefix(4).map { quoted($0, bytesMax: 80) }
            parts.append("category: \(names.joined(separator: ", "))")
        }
        if let price = item.price, price.isFinite { parts.append("price: \(price)") }
        return parts.joined(separator: "; ")
    }

    /// On one line, without the characters that make tags and marks.
    static func quoted(_ text: String, bytesMax: Int) -> String {
        var clean = String.UnicodeScalarView()
        for scalar in OneLine.of(text, bytesMax: bytesMax).unicodeScalars {
            switch scalar {
            case "<", "{": clean.append("(")
            case ">", "}": clean.append(")")
            default: clean.append(scalar)
            }
        }
        return String(clean)
    }

    static func hash(_ texts: [String]) -> UInt64 {
        var bytes = ByteWriter()
        for text in texts {
            bytes.varint(UInt64(text.utf8.count))
            bytes.append(Array(text.utf8))
        }
        return xxh64(bytes.bytes)
    }
}
