import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("softmax")
struct SoftmaxTests {
    struct Shape: Sendable { var rows, width: Int }
    static let shapes = [
        Shape(rows: 0, width: 3), Shape(rows: 1, width: 1), Shape(rows: 3, width: 7),
        Shape(rows: 2, width: 8), Shape(rows: 4, width: 1001),
    ]

    /// With a masked column here and there.
    static func logits(_ shape: Shape) -> [Float] {
        var x = floats(shape.rows * shape.width, seed: 1, scale: 5)
        if shape.width > 2 {
            for i in stride(from: 2, to: x.count, by: 5) { x[i] = -.infinity }
        }
        return x
    }

    @Test("softmax, its logarithm and both gradients equal their twins", arguments: shapes)
    func twins(shape: Shape) {
        let (rows, width) = (shape.rows, shape.width)
        let x = Self.logits(shape)
        let dy = floats(x.count, seed: 2)
        let dxBefore = floats(x.count, seed: 3)
        for path in availablePaths {
            on(path) {
                var (y, logs, dx, dxOfLogs) = (x, x, dxBefore, dxBefore)
                var ySpan = y.mutableSpan
                var logSpan = logs.mutableSpan
                softmax(x.span, into: &ySpan, rows: rows, width: width)
                logSoftmax(x.span, into: &logSpan, rows: rows, width: width)
                var dxSpan = dx.mutableSpan
                var dxOfLogSpan = dxOfLogs.mutableSpan
                softmaxBackward(dy.span, y: y.span, dx: &dxSpan, rows: rows, width: width)
                logSoftmaxBackward(
                    dy.span, y: logs.span, dx: &dxOfLogSpan, rows: rows, width: width)
                expectClose(y, Reference.softmax(x.doubles, width: width))
                expectClose(logs, Reference.logSoftmax(x.doubles, width: width))
                let down = Reference.softmaxGradient(dy.doubles, x: x.doubles, width: width)
                expectClose(dx, zip(dxBefore.doubles, down).map(+))
                let logDown = Reference.logSoftmaxGradient(dy.doubles, x: x.doubles, width: width)
                expectClose(dxOfLogs, zip(dxBefore.doubles, logDown).map(+))
            }
        }
    }

    @Test("the gradients are those of differences")
    func differences() {
        let (x, dy) = (floats(12, seed: 1).doubles, floats(12, seed: 2).doubles)
        expectSame(
            Reference.softmaxGradient(dy, x: x, width: 4),
            numericGradient(at: x) { weighed(Reference.softmax($0, width: 4), by: dy) })
        expectSame(
            Reference.logSoftmaxGradient(dy, x: x, width: 4),
            numericGradient(at: x) { weighed(Reference.logSoftmax($0, width: 4), by: dy) })
    }

    @Test("all masked is nothing, not NaN; a shift changes nothing")
    func edges() {
        let masked = [Float](repeating: -.infinity, count: 9)
        var y = masked
        var span = y.mutableSpan
        softmax(masked.span, into: &span, rows: 1, width: 9)
        #expect(y.allSatisfy { $0 == 0 })
        #expect(logSumExp(masked.span) == -.infinity)
        #expect(logSumExp([Float]().span) == -.infinity)
        #expect(abs(logSumExp([Float](repeating: 1e4, count: 2).span) - 10_000.6931) < 1e-2)
        #expect(logSumExp([Float.nan, 1].span).isNaN)
    }
}
