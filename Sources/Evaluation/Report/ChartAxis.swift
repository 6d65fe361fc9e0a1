// Where an axis has its marks and what they say: round numbers, powers, or calendar days.

public enum ChartScale: Sendable, Hashable {
    case linear
    case logarithmic
    /// Milliseconds since 1970, marked in UTC.
    case time
}

struct ChartTick: Sendable, Hashable {
    var value: Double
    var label: String
}

struct ChartAxis: Sendable {
    let scale: ChartScale
    let low: Double
    let high: Double
    let ticks: [ChartTick]

    /// An axis that holds all `values`, with about `count` marks.
    init(_ scale: ChartScale, values: [Double], fromZero: Bool, count: Int) {
        var values = values.filter { $0.isFinite }
        if scale == .logarithmic { values.removeAll { $0 <= 0 } }
        var low = values.min() ?? (scale == .logarithmic ? 1 : 0)
        var high = values.max() ?? (scale == .logarithmic ? 10 : 1)
        self.scale = scale
        switch scale {
        case .linear:
            if fromZero { low = min(0, low) }
            if high <= low { high = low + max(low.magnitude, 1) }
            let step = Self.roundStep((high - low) / Double(max(count, 1)))
            // A pure position axis ends at its data; a measured one at a mark.
            if fromZero {
                low = (low / step).rounded(.down) * step
                high = (high / step).rounded(.up) * step
            }
            ticks = Self.linearTicks(low: low, high: high, step: step)
        case .logarithmic:
            low = Self.power((Self.log10(low) + 1e-9).rounded(.down))
            high = Self.power((Self.log10(high) - 1e-9).rounded(.up))
            if high <= low { high = low * 10 }
            ticks = Self.logarithmicTicks(low: low, high: high)
        case .time:
            if high <= low { high = low + 3_600_000 }
            ticks = Self.timeTicks(low: low, high: high, count: count)
        }
        self.low = low
        self.high = high
    }

    /// 0 at the low end, 1 at the high end.
    func position(_ value: Double) -> Double {
        guard scale == .logarithmic else { return (value - low) / (high - low) }
        guard value > 0 else { return 0 }
        return (Numbers.log(value) - Numbers.log(low)) / (Numbers.log(high) - Numbers.log(low))
    }

    // MARK: - Numbers

    /// 1, 2 or 5 times a power of ten, not below `step`.
    private static func roundStep(_ step: Double) -> Double {
        let base = power(log10(step).rounded(.down))
        return [1, 2, 5, 10].map { $0 * base }.first { $0 >= step * 0.999_999 } ?? base * 10
    }

    private static func log10(_ value: Double) -> Double {
        Numbers.log(value) / 2.302_585_092_994_046
    }

    private static func power(_ exponent: Double) -> Double {
        let count = Int(exponent.magnitude)
        let value = (0..<count).reduce(1.0) { value, _ in value * 10 }
        return exponent < 0 ? 1 / value : value
    }

    private static func linearTicks(low: Double, high: Double, step: Double) -> [ChartTick] {
        let decimals = max(0, min(9, Int((-log10(step) + 1e-9).rounded(.up))))
        let first = (low / step - 1e-9).rounded(.up)
        return (0..<100).map { (first + Double($0)) * step }
            .prefix { $0 <= high + step * 1e-6 }
            .map { ChartTick(value: $0, label: number($0, decimals: decimals)) }
    }

    private static func logarithmicTicks(low: Double, high: Double) -> [ChartTick] {
        var ticks: [ChartTick] = []
        let isShort = high / low <= 1_000
        var value = low
        while value <= high * 1.000_001, ticks.count < 60 {
            for factor in isShort ? [1.0, 2, 5] : [1.0] where value * factor <= high * 1.000_001 {
                let decimals = max(0, min(9, Int((-log10(value) + 1e-9).rounded(.up))))
                let tick = value * factor
                ticks.append(ChartTick(value: tick, label: number(tick, decimals: decimals)))
            }
            value *= 10
        }
        return ticks
    }

    private static func number(_ value: Double, decimals: Int) -> String {
        switch value.magnitude {
        case 1e6...:
            fixed(value / 1e6, value.truncatingRemainder(dividingBy: 1e6) == 0 ? 0 : 1) + " M"
        case 1e3... where decimals == 0: grouped(Int(value))
        default: fixed(value, decimals)
        }
    }

    // MARK: - Time

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    private static let hour = 3_600_000.0
    private static let day = 86_400_000.0

    private static func timeTicks(low: Double, high: Double, count: Int) -> [ChartTick] {
        let step = (high - low) / Double(max(count, 1))
        if step > 20 * day { return monthTicks(low: low, high: high, step: step) }
        let steps = [
            hour / 60, hour / 12, hour / 4, hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day,
            7 * day,
            14 * day,
        ]
        let chosen = steps.first { $0 >= step } ?? 30 * day
        var value = (low / chosen).rounded(.up) * chosen
        var ticks: [ChartTick] = []
        while value <= high, ticks.count < 60 {
            let (year, month, dayOfMonth) = civilDate(
                daysSince1970: Int((value / day).rounded(.down)))
            var label = "\(dayOfMonth) \(months[month - 1])"
            if ticks.isEmpty { label += " \(year)" }
            if chosen < day, !ticks.isEmpty {
                let minutes = Int(value.truncatingRemainder(dividingBy: day) / 60_000)
                let clock = "\(minutes / 60):" + (minutes % 60 < 10 ? "0" : "") + "\(minutes % 60)"
                label = minutes == 0 ? label : clock
            }
            ticks.append(ChartTick(value: value, label: label))
            value += chosen
        }
        return ticks
    }

    private static func monthTicks(low: Double, high: Double, step: Double) -> [ChartTick] {
        let wanted = step / (30 * day)
        let every = [1, 2, 3, 6, 12, 24, 60, 120].first { Double($0) >= wanted * 0.8 } ?? 120
        let (year, month, _) = civilDate(daysSince1970: Int((low / day).rounded(.down)))
        var index = (year * 12 + month - 1) / every * every
        var ticks: [ChartTick] = []
        while ticks.count < 60 {
            let days = daysSince1970(year: index / 12, month: index % 12 + 1, day: 1)
            let value = Double(days) * day
            if value > high { break }
            if value >= low {
                let name = every >= 12 ? "" : months[index % 12] + " "
                ticks.append(ChartTick(value: value, label: "\(name)\(index / 12)"))
            }
            index += every
        }
        return ticks
    }
}
