// Foreign lines to the normalised log: the JSON that the `interactions` and `items` topics take.
//
// A bad line costs itself and nothing else: it is counted under its reason and the first ones are kept to be shown.

public import Interactions

/// What became of one line.
public enum ImportedLine: Sendable, Hashable {
    /// A line of `events.jsonl`, without line feed.
    case event(time: Milliseconds, item: ItemID, json: String)
    /// A line of `items.jsonl`, without line feed.
    case item(id: ItemID, json: String)
    /// A header, an empty line, or part of a record that goes on.
    case nothing
    case bad(BadLine)
}

public struct BadLine: Sendable, Hashable {
    /// What lines of this kind are counted under.
    public var reason: String
    /// The offending text, shortened; empty when there is none.
    public var found: String

    static let foundCharactersMax = 60

    init(_ reason: String, found: String = "") {
        self.reason = reason
        self.found = String(found.prefix(Self.foundCharactersMax))
    }
}

/// Reads one file's lines in order.
public struct LineImporter: Sendable {
    public enum Kind: Sendable { case events, items }

    private let kind: Kind
    private let shape: ImportShape
    private var records: SeparatedValues?
    private var columns: [String: Int] = [:]
    private var needsHeader = false

    public init(_ kind: Kind, shape: ImportShape) {
        self.kind = kind
        self.shape = shape
        if case .separated(let separator, let header) = shape.layout {
            records = SeparatedValues(separator: separator)
            needsHeader = header
        }
    }

    public mutating func take(line: [UInt8]) -> ImportedLine {
        let bytes = line.last == 0x0D ? line.dropLast() : line[...]
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 }), records == nil { return .nothing }
        switch shape.layout {
        case .doubleColon: return normalise(Fields(Self.cutAtDoubleColons(bytes), columns: [:]))
        case .json:
            do {
                let value = try JSONValue(parsing: Array(bytes))
                guard case .object = value else { return .bad(BadLine("not a JSON object")) }
                return normalise(Fields(value))
            } catch {
                return .bad(
                    BadLine(
                        "not JSON: \(error.reason)", found: Array(bytes.prefix(200)).importedText))
            }
        case .separated: return separated(line)
        }
    }

    /// What is left to say at the end of the file.
    public func finish() -> ImportedLine {
        do {
            try records?.finish()
            return .nothing
        } catch {
            return .bad(BadLine("the last record has an open quote"))
        }
    }

    private mutating func separated(_ line: [UInt8]) -> ImportedLine {
        let record: [[UInt8]]?
        do {
            record = try records?.take(line: line)
        } catch {
            return .bad(BadLine("a record is longer than \(SeparatedValues.recordBytesMax) bytes"))
        }
        guard let record, record != [[]] else { return .nothing }
        if needsHeader {
            needsHeader = false
            for (index, name) in record.enumerated() {
                var name = name
                if index == 0, name.starts(with: [0xEF, 0xBB, 0xBF]) { name.removeFirst(3) }
                columns[name.importedText] = index
            }
            return .nothing
        }
        return normalise(Fields(record, columns: columns))
    }

    private static func cutAtDoubleColons(_ line: ArraySlice<UInt8>) -> [[UInt8]] {
        let colon = UInt8(ascii: ":")
        var fields: [[UInt8]] = [[]]
        var at = line.startIndex
        while at < line.endIndex {
            if line[at] == colon, at + 1 < line.endIndex, line[at + 1] == colon {
                fields.append([])
                at += 2
            } else {
                fields[fields.count - 1].append(line[at])
                at += 1
            }
        }
        return fields
    }

    // MARK: - Normal form

    private func normalise(_ fields: Fields) -> ImportedLine {
        switch kind {
        case .events: event(fields)
        case .items: item(fields)
        }
    }

    private func event(_ fields: Fields) -> ImportedLine {
        guard let userText = fields.text(shape.user), !userText.isEmpty else {
            return .bad(BadLine("no user"))
        }
        guard let itemText = fields.text(shape.item), !itemText.isEmpty else {
            return .bad(BadLine("no item"))
        }
        guard let timeText = fields.text(shape.time), !timeText.isEmpty else {
            return .bad(BadLine("no time"))
        }
        guard let time = Milliseconds.imported(timeText) else {
            return .bad(BadLine("time cannot be read", found: timeText))
        }
        guard let user = UserID(shape.userPrefix + userText) else {
            return .bad(BadLine("user is too long", found: userText))
        }
        guard let item = ItemID(shape.itemPrefix + itemText) else {
            return .bad(BadLine("item is too long", found: itemText))
        }
        let type = fields.text(shape.type).flatMap { $0.isEmpty ? nil : $0 } ?? shape.defaultType
        var json = "{\"user\":\(jsonString(user.text)),\"item\":\(jsonString(item.text)),"
        json += "\"type\":\(jsonString(type)),\"ts\":\(time)"
        if let value = fields.text(shape.value).flatMap(Self.number) {
            json += ",\"value\":\(value)"
        }
        return .event(time: time, item: item, json: json + "}")
    }

    private func item(_ fields: Fields) -> ImportedLine {
        guard let text = fields.text(shape.item), !text.isEmpty else {
            return .bad(BadLine("no item"))
        }
        guard let id = ItemID(shape.itemPrefix + text) else {
            return .bad(BadLine("item is too long", found: text))
        }
        guard let title = fields.text(shape.title), title.contains(where: { !$0.isWhitespace })
        else { return .bad(BadLine("no title", found: text)) }
        var json = "{\"id\":\(jsonString(id.text)),"
        json += "\"title\":\(jsonString(Self.cut(title, bytesMax: ItemRecord.titleBytesMax)))"
        if let brand = fields.text(shape.brand), !brand.isEmpty {
            json += ",\"brand\":\(jsonString(Self.cut(brand, bytesMax: Identifier.bytesMax)))"
        }
        let categories = fields.list(shape.categories).prefix(ItemRecord.categoriesMax)
        if !categories.isEmpty {
            json += ",\"categories\":[\(categories.map(jsonString).joined(separator: ","))]"
        }
        if let price = fields.text(shape.price).flatMap(Self.price) {
            json += ",\"price\":\(price)"
        }
        return .item(id: id, json: json + "}")
    }

    /// `$12.99` or `12.99`; nil for ranges and words.
    private static func price(_ text: String) -> String? {
        let digits = text.first == "$" ? String(text.dropFirst()) : text
        guard let number = number(digits), let value = Double(number), value >= 0 else {
            return nil
        }
        return number
    }

    /// The number that a text holds, as JSON writes it: people also write `.5`, `05` and `+5`.
    private static func number(_ text: String) -> String? {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard let word = words.first, words.count == 1 else { return nil }
        if let whole = Int64(word) { return String(whole) }
        guard let value = Double(word), value.isFinite else { return nil }
        return String(value)
    }

    /// The longest beginning of `text` that fits, cut between characters.
    private static func cut(_ text: String, bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        var kept = ""
        var count = 0
        for character in text {
            count += character.utf8.count
            if count > bytesMax { break }
            kept.append(character)
        }
        return kept
    }
}

/// The fields of one line, whatever its layout.
private struct Fields {
    private enum Source {
        case cells([[UInt8]], columns: [String: Int])
        case json(JSONValue)
    }

    private let source: Source

    init(_ cells: [[UInt8]], columns: [String: Int]) { source = .cells(cells, columns: columns) }
    init(_ json: JSONValue) { source = .json(json) }

    func text(_ names: [String]) -> String? {
        for name in names {
            switch source {
            case .cells(let cells, let columns):
                guard let index = columns[name] ?? Int(name).map({ $0 - 1 }),
                    cells.indices.contains(index)
                else { continue }
                return cells[index].importedText
            case .json(let value):
                if let text = value[name]?.text { return text }
            }
        }
        return nil
    }

    /// An array of texts, an array of such arrays, or one text with `|` between its parts; nothing twice.
    func list(_ names: [String]) -> [String] {
        var found: [String] = []
        func add(_ text: String) {
            if !text.isEmpty, !found.contains(text) { found.append(text) }
        }
        if case .json(let value) = source {
            for name in names {
                guard let elements = value[name]?.elements else { continue }
                for element in elements {
                    for text in (element.elements ?? [element]).compactMap(\.text) { add(text) }
                }
                return found
            }
        }
        for part in (text(names) ?? "").split(separator: "|") { add(String(part)) }
        return found
    }
}
