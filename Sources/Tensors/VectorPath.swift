// Which of the C loops run. The processor decides; tests and measurements may choose.

import CKernels

/// The instruction sets the inner loops exist for.
public enum VectorPath: Sendable, CaseIterable {
    /// What every processor of the platform has: vectors of four.
    case baseline
    /// AVX2 with FMA: vectors of eight.
    case avx2

    /// The one in use: the widest the processor has, unless another was chosen.
    public static var current: VectorPath { ck_selected() == CK_AVX2 ? .avx2 : .baseline }

    /// Makes this path the one in use, in the whole process; false, and no change, where the processor has it not.
    @discardableResult
    public func select() -> Bool {
        ck_select(Int32(self == .avx2 ? CK_AVX2 : CK_BASELINE)) != 0
    }
}

/// Functions of libm, as the core may not import it.
public enum Libm {
    public static func exp(_ x: Double) -> Double { ck_exp(x) }
    public static func log(_ x: Double) -> Double { ck_log(x) }
    public static func pow(_ x: Double, _ y: Double) -> Double { ck_pow(x, y) }
    public static func sin(_ x: Double) -> Double { ck_sin(x) }
    public static func cos(_ x: Double) -> Double { ck_cos(x) }
}
