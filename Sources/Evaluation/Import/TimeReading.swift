// Times as logs write them: seconds, milliseconds or RFC 3339.

public import Interactions

extension Milliseconds {
    /// From here on numbers are milliseconds: 1e11 seconds is the year 5138, 1e11 milliseconds is 1973.
    private static let secondsMax = 1e11
    /// The last millisecond of our own logs, in 5138: what is written can be read back.
    static let importedMax: Milliseconds = 99_999_999_999_999

    /// Reads a count of seconds or milliseconds since 1970, or an RFC 3339 time or date; nil for anything else or
    /// before 1970.
    public static func imported(_ text: String) -> Milliseconds? {
        guard let number = Double(text) else {
            return rfc3339(Array(text.utf8)).flatMap { $0 <= importedMax ? $0 : nil }
        }
        guard number >= 0, number <= Double(importedMax) else { return nil }
        return Milliseconds(number >= secondsMax ? number : number * 1_000)
    }

    private static func rfc3339(_ text: [UInt8]) -> Milliseconds? {
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= text.count else { return nil }
            var value = 0
            for byte in text[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            return value
        }
        guard text.count >= 10, text[4] == 0x2D, text[7] == 0x2D, let year = number(0..<4),
            let month = number(5..<7), let day = number(8..<10), year >= 1970,
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let days = daysSince1970(year: year, month: month, day: day)
        var time = Milliseconds(days) * 86_400_000
        if text.count == 10 { return time }
        guard text.count >= 19, [0x54, 0x74, 0x20].contains(text[10]), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        time += Milliseconds((hour * 60 + minute) * 60 + second) * 1_000
        var at = 19
        if at < text.count, text[at] == UInt8(ascii: ".") {
            var digit = 100
            at += 1
            while at < text.count, let value = number(at..<at + 1) {
                time += Milliseconds(value * digit)
                digit /= 10
                at += 1
            }
        }
        guard let offset = zoneMinutes(text[at...].map { $0 }) else { return nil }
        time -= Milliseconds(offset) * 60_000
        return time >= 0 ? time : nil
    }

    private static func zoneMinutes(_ zone: [UInt8]) -> Int? {
        if zone.isEmpty || zone == [0x5A] || zone == [0x7A] { return 0 }
        guard zone.count == 6, zone[0] == 0x2B || zone[0] == 0x2D, zone[3] == 0x3A,
            let hours = Int(String(decoding: zone[1..<3], as: UTF8.self)),
            let minutes = Int(String(decoding: zone[4..<6], as: UTF8.self))
        else { return nil }
        return (zone[0] == 0x2D ? -1 : 1) * (hours * 60 + minutes)
    }
}
