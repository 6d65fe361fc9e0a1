// The title inside an item record, and JSON lines for `--json`.

import Foundation

enum RecordTitle {
    /// The `title` of a JSON object; nil when there is none.
    static func find(_ json: [UInt8]) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(json)) as? [String: Any]
        return object?["title"] as? String
    }
}

/// Encodes what `--json` prints.
enum JSONLine {
    static func of(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// The strings of a JSON array, as feed entries carry them.
    static func strings(_ json: String) -> [String] {
        (try? JSONDecoder().decode([String].self, from: Data(json.utf8))) ?? []
    }
}
