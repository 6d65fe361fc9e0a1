// The little arithmetic and number printing that evaluation needs without Foundation.
//
// Logarithm and exponential use only IEEE additions, multiplications and divisions, so that simulated logs and
// reports are the same bytes on every machine, which libm does not promise.

enum Numbers {
    private static let naturalLogOf2 = 0.693_147_180_559_945_3

    /// The natural logarithm of a positive finite number.
    static func log(_ value: Double) -> Double {
        precondition(value > 0 && value.isFinite, "a logarithm needs a positive number")
        let z = (value.significand - 1) / (value.significand + 1)
        // 2 artanh(z), |z| <= 1/3: 20 terms reach the last bit.
        var power = z
        var sum = 0.0
        for term in 0..<20 {
            sum += power / Double(2 * term + 1)
            power *= z * z
        }
        return 2 * sum + Double(value.exponent) * naturalLogOf2
    }

    static func log2(_ value: Double) -> Double { log(value) / naturalLogOf2 }

    /// e to the power of `value`; 0 and infinity beyond the range of Double.
    static func exp(_ value: Double) -> Double {
        if value > 709 { return .infinity }
        if value < -745 { return 0 }
        let shift = (value / naturalLogOf2).rounded()
        let rest = value - shift * naturalLogOf2
        var sum = 1.0
        for term in stride(from: 18, through: 1, by: -1) { sum = 1 + sum * rest / Double(term) }
        return sum * Double(sign: .plus, exponent: Int(shift), significand: 1)
    }
}

/// A number with a fixed count of decimals: `1.50`; `nan` and `inf` are written as a dash.
public func fixed(_ value: Double, _ decimals: Int) -> String {
    precondition((0...9).contains(decimals), "0 to 9 decimals")
    guard value.isFinite, value.magnitude < 1e9 else { return "–" }
    let scale = (0..<decimals).reduce(Int64(1)) { scale, _ in scale * 10 }
    let scaled = Int64((value.magnitude * Double(scale)).rounded())
    let sign = value < 0 && scaled != 0 ? "-" : ""
    guard decimals > 0 else { return "\(sign)\(scaled)" }
    let digits = String(scaled % scale)
    return "\(sign)\(scaled / scale)."
        + String(repeating: "0", count: decimals - digits.utf8.count) + digits
}

/// A share the way tables of accuracies print it: `.0892`.
public func share(_ value: Double) -> String {
    let text = fixed(value, 4)
    if text.hasPrefix("0.") { return String(text.dropFirst()) }
    if text.hasPrefix("-0.") { return "-" + text.dropFirst(2) }
    return text
}

/// A count with its thousands apart: `50 000`.
public func grouped(_ value: Int) -> String {
    let digits = Array(String(value.magnitude))
    var text = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { text += "\u{a0}" }
        text.append(digit)
    }
    return text
}

/// Days since 1970-01-01 as year, month and day of the Gregorian calendar (Howard Hinnant's algorithm).
public func civilDate(daysSince1970: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = daysSince1970 + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
        (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

/// The inverse of `civilDate`.
public func daysSince1970(year: Int, month: Int, day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}
