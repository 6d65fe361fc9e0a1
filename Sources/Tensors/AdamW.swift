// AdamW (Loshchilov & Hutter, 2019) as PyTorch computes it: decay first and apart from the gradient, then the step by
// the moments with their bias corrected:
//
//     p -= lr · decay · p;  m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²
//     p -= lr / (1 - β1ᵗ) · m / (sqrt(v) / sqrt(1 - β2ᵗ) + epsilon)
//
// A table of which a step touches few rows (identity vectors, token vectors) is updated lazily: a row is brought up to
// date before it is read, by doing the steps it missed with a gradient of zero, in order and with the same arithmetic.
// So the result is the dense one's to the bit, at no more than its cost; a row that never had a gradient costs nothing.

/// What does not change from step to step.
public struct AdamWSettings: Equatable, Sendable {
    public var beta1: Float
    public var beta2: Float
    public var epsilon: Float
    public var decay: Float

    public init(beta1: Float = 0.9, beta2: Float = 0.98, epsilon: Float = 1e-8, decay: Float = 0) {
        precondition(
            (0..<1).contains(beta1) && (0..<1).contains(beta2) && epsilon > 0 && decay >= 0,
            "settings of AdamW")
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.decay = decay
    }
}

/// The steps taken so far: what each needs besides gradients. Lazy rows look up the ones they missed.
public struct AdamWSteps: Sendable {
    struct Step: Sendable {
        /// 1 - lr · decay.
        var keep: Float
        /// lr / (1 - β1ᵗ).
        var rate: Float
        /// 1 / sqrt(1 - β2ᵗ).
        var spread: Float
    }

    public let settings: AdamWSettings
    private(set) var steps: [Step] = []

    public init(_ settings: AdamWSettings) { self.settings = settings }

    /// Steps begun.
    public var count: Int { steps.count }

    /// Begins the next step.
    public mutating func begin(learningRate: Float) {
        let t = Double(steps.count + 1)
        let correction1 = 1 - Libm.pow(Double(settings.beta1), t)
        let correction2 = 1 - Libm.pow(Double(settings.beta2), t)
        steps.append(
            Step(
                keep: 1 - learningRate * settings.decay,
                rate: Float(Double(learningRate) / correction1),
                spread: Float(1 / correction2.squareRoot())))
    }
}

/// One step, the one begun last, for parameters of which every one has a gradient. m and v start as zeros.
public func adamW(
    _ parameters: inout MutableSpan<Float>, gradients: Span<Float>, m: inout MutableSpan<Float>,
    v: inout MutableSpan<Float>, steps: AdamWSteps
) {
    let count = parameters.count
    precondition(
        gradients.count == count && m.count == count && v.count == count, "shapes of AdamW")
    guard let step = steps.steps.last else { preconditionFailure("no step was begun") }
    let settings = steps.settings
    let (rest1, rest2) = (1 - settings.beta1, 1 - settings.beta2)
    for index in 0..<count {
        let gradient = gradients[index]
        let first = settings.beta1 * m[index] + rest1 * gradient
        let second = settings.beta2 * v[index] + rest2 * (gradient * gradient)
        m[index] = first
        v[index] = second
        let size = second.squareRoot() * step.spread + settings.epsilon
        parameters[index] = parameters[index] * step.keep - step.rate * first / size
    }
}

/// Does for one row the steps after `done` up to `through` (counted from 1), which it missed, with a gradient of zero.
public func adamWCatchUp(
    _ row: inout MutableSpan<Float>, m: inout MutableSpan<Float>, v: inout MutableSpan<Float>,
    done: Int, through: Int, steps: AdamWSteps
) {
    let count = row.count
    precondition(m.count == count && v.count == count, "shapes of AdamW")
    precondition(done >= 0 && through <= steps.count, "steps that were begun")
    let settings = steps.settings
    var done = done
    while done < through {
        // Without momentum and decay a step of zero changes nothing but v, and an empty v not even that.
        if settings.decay == 0, isZero(m), isZero(v) { return }
        let step = steps.steps[done]
        for index in 0..<count {
            let first = settings.beta1 * m[index]
            let second = settings.beta2 * v[index]
            m[index] = first
            v[index] = second
            let size = second.squareRoot() * step.spread + settings.epsilon
            row[index] = row[index] * step.keep - step.rate * first / size
        }
        done += 1
    }
}

private func isZero(_ x: borrowing MutableSpan<Float>) -> Bool {
    for index in 0..<x.count where x[index] != 0 { return false }
    return true
}

/// The factor that brings gradients of this global norm (the root of the summed `squaredNorm`s) to at most `limit`.
public func clipFactor(norm: Double, limit: Double) -> Float {
    precondition(limit > 0, "a limit above zero")
    return norm > limit ? Float(limit / norm) : 1
}

/// Linear from 0 to `peak` over the first `warmUp` steps, then half a cosine down to `peak · floor` at `total`, where
/// it stays. Steps count from 1.
public func warmUpCosine(
    step: Int, warmUp: Int, total: Int, peak: Float, floor: Float = 0.1
) -> Float {
    precondition(step >= 1 && warmUp >= 0 && total >= warmUp, "a step of the schedule")
    if step <= warmUp { return peak * Float(step) / Float(warmUp) }
    guard step < total else { return peak * floor }
    let progress = Double(step - warmUp) / Double(total - warmUp)
    let fall = Float(0.5 * (1 + Libm.cos(.pi * progress)))
    return peak * (floor + (1 - floor) * fall)
}
