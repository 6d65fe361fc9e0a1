// One JSON object taken apart by simdjson: the only place that touches the C shim.
//
// The reader owns the parser, the names it looks for and a slot for each; everything is reused from record to record,
// so reading allocates nothing once the buffers have grown to the largest record seen.

import CSimdjson
import Interactions

/// Reads the fields of one object after the other. Values are valid until the next `read`.
@safe
struct JSONObjectReader: ~Copyable, @unchecked Sendable {
    // Unchecked because the pointers are owned by this one noncopyable value.
    private let parser: OpaquePointer
    private let names: UnsafeMutableBufferPointer<millrace_json_name>
    private let fields: UnsafeMutableBufferPointer<millrace_json_field>
    private let nameBytes: UnsafeMutableBufferPointer<CChar>
    private let nameTexts: [String]
    private let bytesMax: Int

    init(names texts: [String], bytesMax: Int) {
        guard
            let parser = unsafe millrace_json_create(bytesMax, DecodingLimits.depthMax)
        else { preconditionFailure("memory ran out while a JSON parser was made") }
        unsafe self.parser = parser
        self.bytesMax = bytesMax
        nameTexts = texts
        unsafe names = .allocate(capacity: texts.count)
        unsafe fields = .allocate(capacity: texts.count)
        unsafe fields.initialize(repeating: millrace_json_field())
        let total = texts.reduce(0) { $0 + $1.utf8.count }
        unsafe nameBytes = .allocate(capacity: max(total, 1))
        unsafe nameBytes.initialize(repeating: 0)
        var at = 0
        for (index, text) in texts.enumerated() {
            let start = at
            for byte in text.utf8 {
                unsafe nameBytes[at] = CChar(bitPattern: byte)
                at += 1
            }
            unsafe names.initializeElement(
                at: index,
                to: millrace_json_name(
                    bytes: UnsafePointer(nameBytes.baseAddress?.advanced(by: start)),
                    count: at - start))
        }
    }

    deinit {
        unsafe millrace_json_destroy(parser)
        unsafe names.deallocate()
        unsafe fields.deallocate()
        unsafe nameBytes.deallocate()
    }

    /// Takes `payload` apart, or says why it is not an object we read.
    mutating func read(_ payload: RawSpan) throws(Rejection) {
        let count = payload.byteCount
        guard count <= bytesMax else {
            throw Rejection(.payloadTooLarge, "\(count) bytes; at most \(bytesMax) are accepted")
        }
        let outcome = unsafe payload.withUnsafeBytes { bytes in
            unsafe millrace_json_object(
                parser, bytes.baseAddress, bytes.count, names.baseAddress, names.count,
                fields.baseAddress)
        }
        switch outcome {
        case MILLRACE_JSON_OK: return
        case MILLRACE_JSON_INVALID_UTF8: throw Rejection(.invalidUTF8, message)
        case MILLRACE_JSON_NOT_AN_OBJECT: throw Rejection(.notAnObject, message)
        case MILLRACE_JSON_TOO_LARGE: throw Rejection(.payloadTooLarge, message)
        default: throw Rejection(.invalidJSON, message)
        }
    }

    private var message: String { unsafe String(cString: millrace_json_message(parser)) }

    func kind(_ field: Int) -> millrace_json_kind { unsafe fields[field].kind }
    func integer(_ field: Int) -> Int64 { unsafe fields[field].integer }
    func real(_ field: Int) -> Double { unsafe fields[field].real }
    func byteCount(_ field: Int) -> Int { unsafe fields[field].count }
    func name(_ field: Int) -> String { nameTexts[field] }

    /// Absent and null mean the same to us.
    func isAbsent(_ field: Int) -> Bool {
        kind(field) == MILLRACE_JSON_ABSENT || kind(field) == MILLRACE_JSON_NULL
    }

    func text(_ field: Int) -> String {
        withText(field) { unsafe String(copying: UTF8Span(unchecked: $0)) }
    }

    func withText<Result>(_ field: Int, _ body: (Span<UInt8>) -> Result) -> Result {
        let slot = unsafe fields[field]
        let bytes = unsafe UnsafeRawBufferPointer(start: slot.text, count: slot.count)
        return unsafe body(bytes.bindMemory(to: UInt8.self).span)
    }
}
