// rd_kafka_conf_t: settings are checked one by one, so that the refused one can be named.

import CRdKafka

/// A configuration on its way to a handle; whoever makes the handle takes it.
@safe
final class KafkaSettings {
    private var raw: OpaquePointer?

    init(_ pairs: [(String, String)]) throws(KafkaError) {
        unsafe raw = rd_kafka_conf_new()
        for (key, value) in pairs { try set(key, value) }
    }

    deinit {
        if let raw = unsafe raw { unsafe rd_kafka_conf_destroy(raw) }
    }

    private func set(_ key: String, _ value: String) throws(KafkaError) {
        let (code, message) = unsafe withErrorText { text, size in
            unsafe rd_kafka_conf_set(raw, key, value, text, size)
        }
        guard code != RD_KAFKA_CONF_OK else { return }
        throw KafkaError(
            code: .invalidSetting,
            "the Kafka setting `\(key)` = `\(shown(value, of: key))` is refused: \(message)")
    }

    /// Secrets do not belong into messages.
    private func shown(_ value: String, of key: String) -> String {
        let secret = ["password", "secret", "pem", "oauthbearer.config"].contains {
            key.contains($0)
        }
        return secret ? "(hidden)" : value
    }

    /// Gives the configuration away: librdkafka owns it once it made a handle of it.
    func withRaw<Result>(_ body: (OpaquePointer?) -> (Result, taken: Bool)) -> Result {
        let (result, taken) = unsafe body(raw)
        if taken { unsafe raw = nil }
        return result
    }
}

/// Runs a call that writes its complaint into a buffer.
func withErrorText<Result>(
    _ body: (UnsafeMutablePointer<CChar>?, Int) -> Result
) -> (Result, String) {
    let size = 512
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
        unsafe buffer.initialize(repeating: 0)
        let result = unsafe body(buffer.baseAddress, size)
        guard let start = buffer.baseAddress else { return (result, "") }
        return unsafe (result, String(cString: start))
    }
}
