// Dates as RFC 3339 writes them, to milliseconds, without Foundation.
//
// Strict: the full form only, upper or lower case T and Z, one to nine digits of fraction, an offset. A leap second
// is
// accepted where one can be (23:59:60 UTC) and counts as the second after it.

public import Interactions

/// The time that `text` names, or nil when it is not a date in RFC 3339's form.
public func milliseconds(rfc3339 text: Span<UInt8>) -> Milliseconds? {
    guard text.count <= DateReader.bytesMax else { return nil }
    var reader = DateReader(text)
    return reader.date()
}

private struct DateReader {
    /// Longer than any date with nine digits of fraction and an offset.
    static let bytesMax = 36

    private var text = InlineArray<36, UInt8>(repeating: 0)
    private let count: Int
    private var at = 0

    init(_ bytes: Span<UInt8>) {
        count = bytes.count
        for index in bytes.indices { text[index] = bytes[index] }
    }

    mutating func date() -> Milliseconds? {
        guard let year = number(digits: 4), accept("-"), let month = number(digits: 2),
            accept("-"), let day = number(digits: 2), accept("T") || accept("t"),
            let hour = number(digits: 2), accept(":"), let minute = number(digits: 2),
            accept(":"), let second = number(digits: 2),
            let fraction = fractionMilliseconds(), let offset = offsetMinutes(), at == count
        else { return nil }
        guard (1...12).contains(month), (1...daysIn(month, of: year)).contains(day), hour < 24,
            minute < 60, second <= 60
        else { return nil }
        let minutes =
            Int64(dayNumber(year, month, day)) * 1_440 + Int64(hour * 60 + minute - offset)
        let minuteOfDay = ((minutes % 1_440) + 1_440) % 1_440
        if second == 60, minuteOfDay != 1_439 { return nil }
        return (minutes * 60 + Int64(second)) * 1_000 + Int64(fraction)
    }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        guard at < count, text[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func digit() -> Int? {
        guard at < count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[at])
        else { return nil }
        at += 1
        return Int(text[at - 1] - UInt8(ascii: "0"))
    }

    private mutating func number(digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    private mutating func fractionMilliseconds() -> Int? {
        guard accept(".") else { return 0 }
        var value = 0
        var digits = 0
        while let digit = digit() {
            digits += 1
            if digits <= 3 { value = value * 10 + digit }
        }
        guard (1...9).contains(digits) else { return nil }
        for _ in 0..<max(0, 3 - digits) { value *= 10 }
        return value
    }

    private mutating func offsetMinutes() -> Int? {
        if accept("Z") || accept("z") { return 0 }
        let sign = accept("+") ? 1 : accept("-") ? -1 : 0
        guard sign != 0, let hours = number(digits: 2), accept(":"),
            let minutes = number(digits: 2), hours < 24, minutes < 60
        else { return nil }
        return sign * (hours * 60 + minutes)
    }
}

private func daysIn(_ month: Int, of year: Int) -> Int {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    switch month {
    case 2: return leap ? 29 : 28
    case 4, 6, 9, 11: return 30
    default: return 31
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
private func dayNumber(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
}
