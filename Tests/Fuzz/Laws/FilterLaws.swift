// Filter expressions, which clients and the settings write.

import Filters

extension FuzzTarget {
    static let filters = FuzzTarget(
        "filters",
        seeds: [
            "price < 20 AND NOT (brand IN ('a', \"b\\\"c\") OR categories != 'x')",
            "available = false or has expires and expires >= 2.5d", "title CONTAINS 'Öl'",
            "count NOT IN (1, -2, +3.5, 4w)", "price < ", "((((id='\u{1F600}'))))", "'", "\\", "!",
        ].map { Array($0.utf8) }
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        let filter: Filter
        do throws(FilterError) { filter = try Filter(text) } catch {
            let places = 1...(text.unicodeScalars.count + 1)
            try require(places.contains(error.position), "a fault is in the text: \(error)")
            try require(error.before.utf8.allSatisfy { $0 >= 0x20 }, "a complaint is one line")
            return
        }
        let again = try? Filter(" \(text)\n")
        // A filter as long as may be does not fit with the spaces.
        try require(
            again != nil || text.utf8.count > Filter.bytesMax - 2, "spaces around change nothing")
        let opposite = try? Filter("NOT (\(text))")
        for item in filterItems {
            let isMatch = filter.matches(item)
            if let again { try require(again.matches(item) == isMatch, "spaces change nothing") }
            if let opposite {
                try require(opposite.matches(item) != isMatch, "NOT is the opposite")
            }
        }
    }

    private static let filterItems = [
        FilterItem(id: "", title: ""),
        FilterItem(
            id: "a", title: "ÖL b\"c", brand: "b\"c", categories: ["x", ""], price: 3.5,
            isAvailable: false, expires: -.infinity, popularity: 1, count: .nan),
    ]
}
