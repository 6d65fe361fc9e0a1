// Durations and sizes as people write them: `1h30m`, `250ms`, `64KiB`.

enum Units {
    /// Largest first; microseconds each.
    private static let durations: [(name: String, microseconds: Int64)] = [
        ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000),
        ("ms", 1_000), ("us", 1),
    ]
    private static let sizes: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    /// Whole numbers with units, largest unit first, each at most once; `0` needs no unit. Nil for anything else.
    static func duration(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = Substring(text)
        var total: Int64 = 0
        var unitsLeft = durations[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            guard let (count, name) = takeQuantity(&rest), let amount = Int64(exactly: count),
                let index = unitsLeft.firstIndex(where: { $0.name == name })
            else { return nil }
            let product = amount.multipliedReportingOverflow(by: durations[index].microseconds)
            let sum = total.addingReportingOverflow(product.partialValue)
            guard !product.overflow, !sum.overflow else { return nil }
            total = sum.partialValue
            unitsLeft = durations[(index + 1)...]
        }
        return .microseconds(total)
    }

    /// The shortest such text; parts below a microsecond are left out.
    static func text(_ duration: Duration) -> String {
        var rest =
            duration.components.seconds * 1_000_000
            + duration.components.attoseconds / 1_000_000_000_000
        guard rest > 0 else { return "0s" }
        var text = ""
        for unit in durations where rest >= unit.microseconds {
            text += "\(rest / unit.microseconds)\(unit.name)"
            rest %= unit.microseconds
        }
        return text
    }

    /// A whole number with a binary unit; `0` needs none.
    static func bytes(_ text: String) -> Int? {
        if text == "0" { return 0 }
        var rest = Substring(text)
        guard let (count, name) = takeQuantity(&rest), rest.isEmpty,
            let unit = sizes.first(where: { $0.name == name })
        else { return nil }
        let product = count.multipliedReportingOverflow(by: unit.bytes)
        return product.overflow ? nil : product.partialValue
    }

    static func text(bytes: Int) -> String {
        guard bytes > 0, let unit = sizes.first(where: { bytes % $0.bytes == 0 }) else {
            return "\(bytes)"
        }
        return "\(bytes / unit.bytes)\(unit.name)"
    }

    /// Takes decimal digits and the letters after them off the front.
    private static func takeQuantity(_ rest: inout Substring) -> (count: Int, unit: String)? {
        let digits = rest.prefix { ("0"..."9").contains($0) }
        let unit = rest[digits.endIndex...].prefix { $0.isLetter }
        guard let count = Int(digits), !unit.isEmpty else { return nil }
        rest = rest[unit.endIndex...]
        return (count, String(unit))
    }
}
