// Rotary frequencies as a configuration stretches them, in floats as transformers computes them.

import Checkpoints
import Tensors

extension ModelConfiguration {
    /// headSize / 2 of them.
    var inverseFrequencies: [Float] {
        let plain = rotaryInverseFrequencies(base: rotaryBase, headWidth: headSize)
        switch rotaryScaling {
        case .none: return plain
        case .linear(let factor): return plain.map { $0 / Float(factor) }
        case .llama3(let factor, let low, let high, let original):
            let span = Float(original)
            return plain.map { frequency in
                let wavelength = 2 * Float.pi / frequency
                if wavelength > span / Float(low) { return frequency / Float(factor) }
                if wavelength < span / Float(high) { return frequency }
                let smooth = (span / wavelength - Float(low)) / Float(high - low)
                return (1 - smooth) * frequency / Float(factor) + smooth * frequency
            }
        }
    }
}
