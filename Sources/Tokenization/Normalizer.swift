// What is done to a text before it is split: canonical composition and lower case, the two that byte-level tokenizers
// in use have.

// The standard library normalises in order to compare strings; this is how it lets the toolchain's own libraries
// (Foundation among them) at the result.
@_spi(_Unicode) import Swift

/// One step of normalisation.
enum Normalizer: Sendable, Equatable {
    /// Canonical composition (Unicode Standard Annex 15).
    case nfc
    /// Lower case of each scalar by itself, without regard to its neighbours.
    case lowercase

    func normalise(_ text: String) -> String {
        switch self {
        case .nfc:
            // Nothing below U+0300 composes or changes.
            guard text.unicodeScalars.contains(where: { $0.value >= 0x300 }) else { return text }
            var composed = String.UnicodeScalarView()
            composed.append(contentsOf: text._nfc)
            return String(composed)
        case .lowercase:
            var lower = String.UnicodeScalarView()
            for scalar in text.unicodeScalars {
                if scalar.isASCII {
                    let isUpper = (0x41...0x5A).contains(scalar.value)
                    lower.append(isUpper ? Unicode.Scalar(UInt8(scalar.value | 0x20)) : scalar)
                } else {
                    lower.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
                }
            }
            return String(lower)
        }
    }
}
