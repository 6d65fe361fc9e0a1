// How kernels are compared with their twins.

import ReferenceModel
import Tensors
import TestKit
import Testing

/// The error bound of a kernel unless it declares another: normalised mean square, so 1e-6 relative.
let kernelErrorMax = 1e-12
/// Of a gradient in Double against differences in Double.
let differenceErrorMax = 1e-14

/// Numbers about 0, as floats; the same for a seed.
func floats(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in
        scale
            * Float(
                Float.random(in: -1..<1, using: &random) + Float.random(in: -1..<1, using: &random))
    }
}

extension [Float] {
    var doubles: [Double] { map(Double.init) }
}

func expectClose(
    _ kernel: [Float], _ reference: [Double], within bound: Double = kernelErrorMax,
    _ comment: Comment = "", sourceLocation: SourceLocation = #_sourceLocation
) {
    let error = normalisedError(kernel.doubles, reference)
    #expect(error <= bound, comment, sourceLocation: sourceLocation)
}

func expectSame(
    _ gradient: [Double], _ differences: [Double], within bound: Double = differenceErrorMax,
    _ comment: Comment = "", sourceLocation: SourceLocation = #_sourceLocation
) {
    let error = normalisedError(gradient, differences)
    #expect(error <= bound, comment, sourceLocation: sourceLocation)
}

/// The paths this processor has.
let availablePaths: [VectorPath] = {
    let before = VectorPath.current
    defer { before.select() }
    return VectorPath.allCases.filter { $0.select() }
}()

/// Runs the body on a path. Suites that use it are serialised within; others may then run on either path, which no
/// bound depends on.
func on<Result>(_ path: VectorPath, _ body: () throws -> Result) rethrows -> Result {
    let before = VectorPath.current
    let selected = path.select()
    #expect(selected)
    defer { before.select() }
    return try body()
}
