// From the bytes of one record of the items topic to the catalogue's change, or to the reason why not.

import CSimdjson
public import Interactions

/// What the fields of an item are called.
public struct ItemFields: Sendable, Hashable {
    public var id = "id"
    public var title = "title"
    public var brand = "brand"
    public var categories = "categories"
    public var description = "description"
    public var price = "price"
    public var available = "available"
    public var expires = "expires"

    public init() {}

    var all: [String] {
        [id, title, brand, categories, description, price, available, expires]
    }
}

public enum ItemOutcome: Sendable, Hashable {
    case change(ItemChange)
    /// Neither key nor payload.
    case empty
    case rejected(Rejection)
}

/// Decodes one record after the other; reuse it.
public struct ItemDecoder: ~Copyable, Sendable {
    private enum Field {
        static let id = 0
        static let title = 1
        static let brand = 2
        static let categories = 3
        static let description = 4
        static let price = 5
        static let available = 6
        static let expires = 7
    }

    private var reader: JSONObjectReader
    private let limits: DecodingLimits

    public init(fields: ItemFields = ItemFields(), limits: DecodingLimits = DecodingLimits()) {
        reader = JSONObjectReader(names: fields.all, bytesMax: limits.itemBytesMax)
        self.limits = limits
    }

    /// The key names the item; a payload may name it too, and then has to agree. A null payload withdraws the item.
    public mutating func decode(key: RawSpan?, payload: RawSpan?) -> ItemOutcome {
        do throws(Rejection) {
            if let payload {
                let record = try record(key: key, payload: payload)
                let json = unsafe payload.withUnsafeBytes { unsafe [UInt8]($0) }
                return .change(.set(record, json: json))
            }
            guard let key, key.byteCount > 0 else { return .empty }
            return .change(.withdraw(try identifier(key: key)))
        } catch {
            return .rejected(error)
        }
    }

    /// The same for bytes in arrays.
    public mutating func decode(key: [UInt8]?, payload: [UInt8]?) -> ItemOutcome {
        withBytes(key, payload) { key, payload in decode(key: key, payload: payload) }
    }

    private mutating func record(key: RawSpan?, payload: RawSpan) throws(Rejection) -> ItemRecord {
        try reader.read(payload)
        let id = try identifier(key: key)
        guard let title = try reader.shortText(Field.title, bytesMax: ItemRecord.titleBytesMax)
        else { throw reader.missing(Field.title) }
        let price = try reader.number(Field.price)
        if let price, price < 0 {
            throw Rejection(
                .invalidValue, "`\(reader.name(Field.price))` is \(price); prices are not negative")
        }
        return ItemRecord(
            id: id, title: title,
            brand: try reader.shortText(Field.brand, bytesMax: ItemRecord.titleBytesMax),
            categories: try categories(),
            description: try reader.shortText(
                Field.description, bytesMax: ItemRecord.descriptionBytesMax),
            price: price, available: try reader.boolean(Field.available) ?? true,
            expires: try reader.time(Field.expires, atLeast: limits.timeMin))
    }

    private func identifier(key: RawSpan?) throws(Rejection) -> ItemID {
        let named = try reader.identifierText(Field.id)
        guard let key, key.byteCount > 0 else {
            guard let id = named.flatMap({ ItemID($0) }) else { throw reader.missing(Field.id) }
            return id
        }
        if let named, !(key == named) {
            throw Rejection(
                .keyMismatch,
                "the key is not the payload's `\(reader.name(Field.id))`, \"\(excerpt(named))\"")
        }
        return try identifier(key: key)
    }

    private func identifier(key: RawSpan) throws(Rejection) -> ItemID {
        guard let text = text(of: key) else {
            throw Rejection(.invalidUTF8, "the key of the item is not UTF-8")
        }
        guard let id = ItemID(text) else {
            throw Rejection(
                .invalidIdentifier,
                "the key has \(key.byteCount) bytes; 1 to \(Identifier.bytesMax) are accepted")
        }
        return id
    }

    /// An array of strings, or one string; empty ones are dropped.
    private func categories() throws(Rejection) -> [String] {
        let field = Field.categories
        guard !reader.isAbsent(field) else { return [] }
        if reader.kind(field) == MILLRACE_JSON_STRING {
            let text = try reader.shortText(field, bytesMax: ItemRecord.titleBytesMax) ?? ""
            // As in an array: no value holds a line feed.
            let line = String(decoding: text.utf8.map { $0 == 0x0A ? 0x20 : $0 }, as: UTF8.self)
            return line.isEmpty ? [] : [line]
        }
        guard reader.kind(field) == MILLRACE_JSON_STRINGS else {
            throw reader.wrongType(field, "an array of strings")
        }
        guard reader.integer(field) <= Int64(ItemRecord.categoriesMax) else {
            throw Rejection(
                .tooManyValues,
                "`\(reader.name(field))` has \(reader.integer(field)) values; "
                    + "at most \(ItemRecord.categoriesMax) are accepted")
        }
        let lines = reader.text(field).utf8.split(separator: UInt8(ascii: "\n")).map { String($0) }
        for line in lines.compactMap({ $0 }) where line.utf8.count > ItemRecord.titleBytesMax {
            throw Rejection(
                .fieldTooLong,
                "a value of `\(reader.name(field))` has \(line.utf8.count) bytes; "
                    + "at most \(ItemRecord.titleBytesMax) are accepted")
        }
        return lines.compactMap { $0 }
    }
}
