// A plan as a page of text.

extension Sizing {
    private static let labelColumns = 44
    private static let columns = 100

    /// The plan for people: totals first, then what each is made of.
    public var text: String {
        var lines = [
            Self.line(
                groups == 1 ? "load" : "load of each of \(Self.short(Double(groups))) groups",
                "\(Self.short(load.users)) users with \(Self.short(load.history)) items each, "
                    + "\(Self.short(load.items)) items"),
            Self.line(
                "",
                "\(Self.short(load.eventsPerSecond)) events/s, "
                    + "\(Self.short(load.listsPerSecond)) lists/s (\(load.mode.rawValue)), "
                    + "\(Self.short(load.feeds)) feeds"),
            Self.line("instances", "\(instances), \(coresPerInstance) cores each"),
            Self.line("partitions", "\(partitions)"),
        ]
        lines += section("engine's lane, of \(Self.plannedUse) planned", engineLane) {
            Self.significant($0)
        }
        lines += section("processor, cores busy an instance", processor) { Self.significant($0) }
        lines += section("daemon memory an instance", daemonMemory) { Self.text(bytes: $0) }
        lines += section("Redis memory", redisMemory) { Self.text(bytes: $0) }
        lines += section("Redis' thread, of \(Self.plannedUse) planned", redisThread) {
            Self.significant($0)
        }
        lines += section("into Redis", redisIn) { Self.text(bytes: $0) + "/s" }
        lines += section("out of Redis", redisOut) { Self.text(bytes: $0) + "/s" }
        if load.feeds > 0 {
            lines.append(
                Self.line("all feeds are gone round in", Self.text(seconds: feedRoundSeconds)))
        }
        lines += [
            Self.line("Redis reads its file in", Self.text(seconds: redisLoadSeconds)),
            Self.line("interactions in Kafka, a day, one copy", Self.text(bytes: kafkaPerDay)),
            Self.line(
                "most events/s, any number of instances",
                eventsPerSecondMax.map(Self.short) ?? "no limit"),
            Self.line(
                "most events/s, one instance, no lists",
                eventsPerSecondAlone.map(Self.short) ?? "no limit"),
        ]
        if let first = room.first {
            lines.append(
                Self.line("gives out first", "\(first.name), at \(Self.short(first.factor)) x this")
            )
        }
        lines += warnings.flatMap { [""] + Self.wrapped("! " + $0) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A total, and below it its parts, the largest first and marked where there are several.
    private func section(
        _ name: String, _ sum: SizingSum, _ text: (Double) -> String
    ) -> [String] {
        let parts = sum.parts.sorted { $0.value > $1.value }
        guard parts.count > 1 else { return [Self.line(name, text(sum.total))] }
        return [Self.line(name, text(sum.total))]
            + parts.map {
                Self.line(
                    "  " + $0.name,
                    "  " + text($0.value) + " (\(Self.percent($0.value / sum.total)))")
            }
    }

    private static func wrapped(_ text: String) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            let line = lines[lines.count - 1]
            if !line.isEmpty, line.count + 1 + word.count > columns {
                lines.append("  " + word)
            } else {
                lines[lines.count - 1] += (line.isEmpty ? "" : " ") + word
            }
        }
        return lines
    }

    private static func line(_ name: String, _ value: String) -> String {
        name + String(repeating: " ", count: max(1, labelColumns - name.count)) + value
    }
}

extension Sizing {
    /// Three significant digits of a number that is not negative; all digits before the point.
    static func significant(_ value: Double) -> String {
        guard value.isFinite, value < 1e15 else { return "beyond measure" }
        guard value > 0 else { return "0" }
        var (scale, decimals) = (1.0, 0)
        while value * scale < 100, decimals < 6 {
            scale *= 10
            decimals += 1
        }
        let digits = String(Int64((value * scale).rounded()))
        guard decimals > 0 else { return digits }
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        var text = "\(padded.dropLast(decimals)).\(padded.suffix(decimals))"
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }

    /// `445 M`.
    static func short(_ value: Double) -> String {
        scaled(value, by: 1_000, ["", " k", " M", " G", " T"])
    }

    /// `1.2 GiB`.
    static func text(bytes: Double) -> String {
        scaled(bytes, by: 1_024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"])
    }

    static func text(seconds: Double) -> String {
        if seconds < 120 { return significant(seconds) + " s" }
        return seconds < 7_200
            ? significant(seconds / 60) + " min" : significant(seconds / 3_600) + " h"
    }

    static func percent(_ share: Double) -> String {
        share > 0 && share < 0.01 ? "under 1 %" : short((share * 100).rounded()) + " %"
    }

    private static func scaled(_ value: Double, by base: Double, _ units: [String]) -> String {
        var (rest, index) = (value, 0)
        // What would be written as 1000 of a unit is 1 of the next.
        while rest >= base - 0.5, index + 1 < units.count {
            rest /= base
            index += 1
        }
        return significant(rest) + units[index]
    }
}

extension UnitCost.Facts {
    fileprivate var amount: String {
        unit == "B" ? Sizing.text(bytes: value) : "\(Sizing.significant(value)) \(unit)"
    }
}

extension UnitCost {
    /// All unit costs as a table for people.
    public static var table: String {
        let rows = allCases.map { cost in
            [
                cost.rawValue, cost.facts.amount, cost.facts.what, cost.facts.source,
            ]
        }
        let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths + [0]).map { text, width in
                text + String(repeating: " ", count: max(0, width - text.count))
            }.joined(separator: "  ") + "\n"
        }.joined()
    }
}
