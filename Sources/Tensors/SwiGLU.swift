// The gated unit of Llama and Qwen (Shazeer, 2020): y = silu(gate) · up with silu(g) = g / (1 + exp(-g)).

import CKernels

/// All of one length; y = silu(gate) · up.
public func swiGLU(gate: Span<Float>, up: Span<Float>, into y: inout MutableSpan<Float>) {
    precondition(gate.count == up.count && y.count == up.count, "shapes of a gated unit")
    unsafe withPointers(gate, up) { gate, up in
        unsafe y.withUnsafeMutableBufferPointer { y in
            unsafe ck_swiglu(gate, up, y.baseAddress, y.count)
        }
    }
}

/// Adds to dGate and dUp, given dy and what `swiGLU` was given.
public func swiGLUBackward(
    _ dy: Span<Float>, gate: Span<Float>, up: Span<Float>, dGate: inout MutableSpan<Float>,
    dUp: inout MutableSpan<Float>
) {
    let count = dy.count
    precondition(
        gate.count == count && up.count == count && dGate.count == count && dUp.count == count,
        "shapes of a gated unit")
    unsafe withPointers(dy, gate, up) { dy, gate, up in
        unsafe withMutablePointers(&dGate, &dUp) { dGate, dUp in
            unsafe ck_swiglu_backward(dy, gate, up, dGate, dUp, count)
        }
    }
}
