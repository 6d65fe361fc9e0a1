// How a foreign file is laid out, and where its lines keep what we need.

/// Layout and fields of one file. A field is a column's header, a JSON key, or (`1`, `2`, ...) a position; the
/// first that is there counts.
public struct ImportShape: Sendable, Hashable {
    public enum Layout: Sendable, Hashable {
        /// MovieLens' old files: fields between `::`, no quotes, no header.
        case doubleColon
        case separated(by: UInt8, header: Bool)
        /// One JSON object a line.
        case json
    }

    public var layout: Layout
    public var user: [String] = []
    public var item: [String] = []
    public var time: [String] = []
    public var value: [String] = []
    public var type: [String] = []
    public var title: [String] = []
    public var brand: [String] = []
    public var categories: [String] = []
    public var price: [String] = []
    /// The event type of lines that name none.
    public var defaultType = "view"
    /// Put before identifiers, for files that number their users and items.
    public var userPrefix = ""
    public var itemPrefix = ""

    public init(_ layout: Layout) { self.layout = layout }
}

/// The formats `millrace import` knows by name.
public enum ImportFormat: String, Sendable, CaseIterable {
    /// `ratings.dat` and `movies.dat` (100K to 10M).
    case movielens
    /// `ratings.csv` and `movies.csv` (20M and later).
    case movielensCSV = "movielens-csv"
    case movietweetings
    /// Reviews and metadata as JSONL, releases of 2014, 2018 and 2023.
    case amazon
    case csv
    case jsonl

    public var events: ImportShape {
        switch self {
        case .movielens, .movietweetings:
            var shape = ImportShape(.doubleColon)
            shape.user = ["1"]
            shape.item = ["2"]
            shape.value = ["3"]
            shape.time = ["4"]
            return prefixed(shape)
        case .movielensCSV:
            var shape = ImportShape(.separated(by: UInt8(ascii: ","), header: true))
            shape.user = ["userId"]
            shape.item = ["movieId"]
            shape.value = ["rating"]
            shape.time = ["timestamp"]
            return prefixed(shape)
        case .amazon:
            var shape = ImportShape(.json)
            shape.user = ["reviewerID", "user_id"]
            shape.item = ["parent_asin", "asin"]
            shape.value = ["overall", "rating"]
            shape.time = ["unixReviewTime", "timestamp"]
            return prefixed(shape)
        case .csv, .jsonl:
            var shape = ImportShape(
                self == .csv ? .separated(by: UInt8(ascii: ","), header: true) : .json)
            shape.user = ["user", "user_id", "userId", "uid"]
            shape.item = ["item", "item_id", "itemId", "iid"]
            shape.value = ["value", "rating"]
            shape.time = ["ts", "time", "timestamp"]
            shape.type = ["type", "event", "event_type"]
            return shape
        }
    }

    public var items: ImportShape {
        switch self {
        case .movielens, .movietweetings:
            var shape = ImportShape(.doubleColon)
            shape.item = ["1"]
            shape.title = ["2"]
            shape.categories = ["3"]
            return prefixed(shape)
        case .movielensCSV:
            var shape = ImportShape(.separated(by: UInt8(ascii: ","), header: true))
            shape.item = ["movieId"]
            shape.title = ["title"]
            shape.categories = ["genres"]
            return prefixed(shape)
        case .amazon:
            var shape = ImportShape(.json)
            shape.item = ["parent_asin", "asin"]
            shape.title = ["title"]
            shape.brand = ["brand", "store"]
            shape.categories = ["categories", "category"]
            shape.price = ["price"]
            return prefixed(shape)
        case .csv, .jsonl:
            var shape = ImportShape(
                self == .csv ? .separated(by: UInt8(ascii: ","), header: true) : .json)
            shape.item = ["id", "item", "item_id", "itemId", "iid"]
            shape.title = ["title", "name"]
            shape.brand = ["brand"]
            shape.categories = ["categories", "category", "genres"]
            shape.price = ["price"]
            return shape
        }
    }

    private func prefixed(_ shape: ImportShape) -> ImportShape {
        var shape = shape
        shape.defaultType = "rate"
        if self == .movietweetings {
            shape.userPrefix = "u"
            shape.itemPrefix = "tt"
        }
        return shape
    }
}
