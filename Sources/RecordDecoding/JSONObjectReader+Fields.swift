// What our fields may look like, whatever record they are in.

import CSimdjson
import Interactions

extension JSONObjectReader {
    /// An identifier's text: a string, or an integer written in decimal. Nil when absent.
    func identifierText(_ field: Int) throws(Rejection) -> String? {
        switch kind(field) {
        case MILLRACE_JSON_ABSENT, MILLRACE_JSON_NULL: return nil
        case MILLRACE_JSON_INT: return String(integer(field))
        case MILLRACE_JSON_UINT: return String(UInt64(bitPattern: integer(field)))
        case MILLRACE_JSON_STRING:
            let count = byteCount(field)
            guard (1...Identifier.bytesMax).contains(count) else {
                throw Rejection(
                    .invalidIdentifier,
                    "`\(name(field))` has \(count) bytes; 1 to \(Identifier.bytesMax) are accepted")
            }
            return text(field)
        default: throw wrongType(field, "a string or an integer")
        }
    }

    /// A number, or nil when absent.
    func number(_ field: Int) throws(Rejection) -> Double? {
        switch kind(field) {
        case MILLRACE_JSON_ABSENT, MILLRACE_JSON_NULL: return nil
        case MILLRACE_JSON_INT, MILLRACE_JSON_UINT, MILLRACE_JSON_DOUBLE:
            let value = real(field)
            guard value.isFinite else {
                throw Rejection(.invalidValue, "`\(name(field))` is not a finite number")
            }
            return value
        default: throw wrongType(field, "a number")
        }
    }

    /// Epoch milliseconds or an RFC 3339 text within bounds; nil when absent.
    func time(_ field: Int, atLeast timeMin: Milliseconds) throws(Rejection) -> Milliseconds? {
        let value: Milliseconds
        switch kind(field) {
        case MILLRACE_JSON_ABSENT, MILLRACE_JSON_NULL: return nil
        case MILLRACE_JSON_INT: value = integer(field)
        case MILLRACE_JSON_STRING:
            guard let parsed = withText(field, { milliseconds(rfc3339: $0) }) else {
                throw Rejection(
                    .invalidTime,
                    "`\(name(field))` is \"\(excerpt(text(field)))\"; \(Self.timeForms)")
            }
            value = parsed
        default: throw wrongType(field, Self.timeForms)
        }
        guard value >= timeMin, value <= DecodingLimits.timeMax else {
            throw Rejection(
                .invalidTime,
                "`\(name(field))` is \(value) ms since 1970, outside \(timeMin) to "
                    + "\(DecodingLimits.timeMax); times are in milliseconds, not seconds")
        }
        return value
    }

    private static var timeForms: String {
        "expected integer milliseconds since 1970 or a date such as 2026-01-31T12:00:00Z"
    }

    /// A text of at most `bytesMax` bytes; nil when absent or empty.
    func shortText(_ field: Int, bytesMax: Int) throws(Rejection) -> String? {
        guard !isAbsent(field) else { return nil }
        guard kind(field) == MILLRACE_JSON_STRING else { throw wrongType(field, "a string") }
        guard byteCount(field) <= bytesMax else {
            throw Rejection(
                .fieldTooLong,
                "`\(name(field))` has \(byteCount(field)) bytes; at most \(bytesMax) are accepted")
        }
        return byteCount(field) == 0 ? nil : text(field)
    }

    func boolean(_ field: Int) throws(Rejection) -> Bool? {
        guard !isAbsent(field) else { return nil }
        guard kind(field) == MILLRACE_JSON_BOOL else { throw wrongType(field, "true or false") }
        return integer(field) != 0
    }

    func missing(_ field: Int) -> Rejection {
        Rejection(.missingField, "`\(name(field))` is absent or null")
    }

    func wrongType(_ field: Int, _ expected: String) -> Rejection {
        let found: String
        switch kind(field) {
        case MILLRACE_JSON_BOOL: found = "true or false"
        case MILLRACE_JSON_INT, MILLRACE_JSON_UINT, MILLRACE_JSON_DOUBLE:
            found = "the number \(real(field))"
        case MILLRACE_JSON_STRING: found = "the string \"\(excerpt(text(field)))\""
        default: found = "an array or object"
        }
        return Rejection(.wrongType, "`\(name(field))` is \(found); expected \(expected)")
    }
}
