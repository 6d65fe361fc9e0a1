// The optimiser as its paper writes it.

#if canImport(Glibc)
    import Glibc
#endif

extension Reference {
    /// Parameters after each of `gradients` was applied in turn.
    public static func adamW(
        _ parameters: [Double], gradients: [[Double]], learningRates: [Double], beta1: Double,
        beta2: Double, epsilon: Double, decay: Double
    ) -> [Double] {
        var p = parameters
        var (m, v) = (p.map { _ in 0.0 }, p.map { _ in 0.0 })
        for (step, gradient) in gradients.enumerated() {
            let (t, rate) = (Double(step + 1), learningRates[step])
            for i in p.indices {
                p[i] -= rate * decay * p[i]
                m[i] = beta1 * m[i] + (1 - beta1) * gradient[i]
                v[i] = beta2 * v[i] + (1 - beta2) * gradient[i] * gradient[i]
                let mHat = m[i] / (1 - pow(beta1, t))
                let vHat = v[i] / (1 - pow(beta2, t))
                p[i] -= rate * mHat / (vHat.squareRoot() + epsilon)
            }
        }
        return p
    }
}
