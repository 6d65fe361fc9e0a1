// Wall time as people read it.

/// Milliseconds since 1970 as `2026-11-21T03:24:31.007Z`.
enum UTCTime {
    static func text(_ milliseconds: Int64) -> String {
        // Any year a clock can show; beyond, the arithmetic would only have to be proved.
        let bounded = min(max(milliseconds, 0), 253_402_300_799_999)
        let date = date(daysSince1970: bounded / 86_400_000)
        let rest = bounded % 86_400_000
        let time = [rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60].map { padded($0, 2) }
        return "\(date)T\(time.joined(separator: ":")).\(padded(rest % 1_000, 3))Z"
    }

    /// Gregorian date; counts years from March so that the leap day comes last.
    private static func date(daysSince1970 days: Int64) -> String {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let calendarMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (calendarMonth <= 2 ? 1 : 0)
        return "\(padded(year, 4))-\(padded(calendarMonth, 2))-\(padded(day, 2))"
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let text = "\(number)"
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
}
