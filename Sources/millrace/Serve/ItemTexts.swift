// Item records as the pipeline and the socket need them: decoded, or the reason why not.

import Interactions
import RecordDecoding
import Synchronization

/// Decodes item records from several threads; each takes the one decoder in turn.
final class ItemTexts: Sendable {
    private let decoder: Mutex<ItemDecoder>

    init(fields: ItemFields, bytesMax: Int) {
        var limits = DecodingLimits()
        limits.itemBytesMax = bytesMax
        decoder = Mutex(ItemDecoder(fields: fields, limits: limits))
    }

    /// The record that `json` is; nil when it is none.
    func record(_ id: ItemID, _ json: [UInt8]) -> ItemRecord? {
        guard case .change(.set(let record, _)) = decode(Array(id.text.utf8), json) else {
            return nil
        }
        return record
    }

    /// Why `json` cannot be an item's record; nil when it can. The record is keyed by the command's argument, so the
    /// payload
    /// need not repeat the identifier.
    func problem(_ json: [UInt8]) -> String? {
        guard case .rejected(let rejection) = decode(nil, json) else { return nil }
        guard case .rejected(let keyed) = decode(Array("any".utf8), json) else { return nil }
        // With an identifier of its own the payload was judged in the first attempt, else in the second.
        return "\(keyed.reason == .keyMismatch ? rejection : keyed)"
    }

    private func decode(_ key: [UInt8]?, _ json: [UInt8]) -> ItemOutcome {
        decoder.withLock { decoder in
            let payload = unsafe json.span.bytes
            guard let key else { return decoder.decode(key: nil, payload: payload) }
            return unsafe decoder.decode(key: key.span.bytes, payload: payload)
        }
    }
}
