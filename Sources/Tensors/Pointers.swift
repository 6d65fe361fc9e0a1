// Several spans opened at once, for the kernels that hand them to C. The pointers live as long as the closure.

func withPointers<A, B, Result>(
    _ a: Span<A>, _ b: Span<B>,
    _ body: (UnsafePointer<A>?, UnsafePointer<B>?) -> Result
) -> Result {
    unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in unsafe body(a.baseAddress, b.baseAddress) }
    }
}

func withPointers<A, B, C, Result>(
    _ a: Span<A>, _ b: Span<B>, _ c: Span<C>,
    _ body: (UnsafePointer<A>?, UnsafePointer<B>?, UnsafePointer<C>?) -> Result
) -> Result {
    unsafe withPointers(a, b) { a, b in
        unsafe c.withUnsafeBufferPointer { c in unsafe body(a, b, c.baseAddress) }
    }
}

func withMutablePointers<A, B, Result>(
    _ a: inout MutableSpan<A>, _ b: inout MutableSpan<B>,
    _ body: (UnsafeMutablePointer<A>?, UnsafeMutablePointer<B>?) -> Result
) -> Result {
    unsafe a.withUnsafeMutableBufferPointer { a in
        unsafe b.withUnsafeMutableBufferPointer { b in unsafe body(a.baseAddress, b.baseAddress) }
    }
}

func withMutablePointers<A, B, C, Result>(
    _ a: inout MutableSpan<A>, _ b: inout MutableSpan<B>, _ c: inout MutableSpan<C>,
    _ body: (UnsafeMutablePointer<A>?, UnsafeMutablePointer<B>?, UnsafeMutablePointer<C>?) -> Result
) -> Result {
    unsafe withMutablePointers(&a, &b) { a, b in
        unsafe c.withUnsafeMutableBufferPointer { c in unsafe body(a, b, c.baseAddress) }
    }
}
