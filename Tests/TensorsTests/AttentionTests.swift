// Attention against its twin, whose mask is a function of two rows; and the laws a cache relies on.

import ReferenceModel
import Tensors
import TestKit
import Testing

@Suite("attention")
struct AttentionTests {
    /// Sequences one after the other, each of segments; -1 in `sink` rows is nobody's segment.
    struct Layout: Sendable {
        var sequenceStart: [Int] = []
        var segmentStart: [Int] = []
        var rows: Int { sequenceStart.count }

        init(_ sequences: [[Int]]) {
            for sequence in sequences {
                let start = rows
                for length in sequence {
                    let segment = rows
                    for _ in 0..<length {
                        sequenceStart.append(start)
                        segmentStart.append(segment)
                    }
                }
            }
        }
    }

    static let ragged = Layout([[1, 4, 9], [], [3], [2, 2, 1, 20, 5]])

    enum Rule: CaseIterable {
        case causal, intra, intraWithSink, interStrict, interWithSelf, everything

        func visible(_ row: Int, _ layout: Layout) -> VisibleKeys {
            let (sequence, segment) = (layout.sequenceStart[row], layout.segmentStart[row])
            return switch self {
            case .causal: .causal(sequenceStart: sequence, row: row)
            case .intra: .intra(segmentStart: segment, row: row)
            case .intraWithSink:
                .intra(segmentStart: segment, row: row, sink: sequence..<sequence + 1)
            case .interStrict:
                .inter(sequenceStart: sequence, segmentStart: segment, row: row)
            case .interWithSelf:
                .inter(sequenceStart: sequence, segmentStart: segment, row: row, withSelf: true)
            case .everything: VisibleKeys(0..<layout.rows)
            }
        }

        /// The same from the definitions of the method, pair by pair.
        func sees(_ row: Int, _ key: Int, _ layout: Layout) -> Bool {
            if self == .everything { return true }
            guard key <= row, layout.sequenceStart[key] == layout.sequenceStart[row] else {
                return false
            }
            let same = layout.segmentStart[key] == layout.segmentStart[row]
            return switch self {
            case .causal, .everything: true
            case .intra: same
            case .intraWithSink: same || key == layout.sequenceStart[row]
            case .interStrict: !same
            case .interWithSelf: !same || key == row
            }
        }
    }

    struct Sizes: Sendable { var heads, keyHeads, width: Int }
    static let sizes = [
        Sizes(heads: 1, keyHeads: 1, width: 1), Sizes(heads: 2, keyHeads: 2, width: 32),
        Sizes(heads: 4, keyHeads: 2, width: 12), Sizes(heads: 6, keyHeads: 2, width: 19),
        Sizes(heads: 2, keyHeads: 1, width: 72),
    ]

    struct Inputs {
        var shape: AttentionShape
        var q, k, v, dOut: [Float]
        var visible: [VisibleKeys]

        init(_ layout: Layout, _ sizes: Sizes, _ rule: Rule) {
            shape = AttentionShape(
                rows: layout.rows, keyRows: layout.rows, heads: sizes.heads,
                keyHeads: sizes.keyHeads, headWidth: sizes.width)
            q = floats(shape.queryCount, seed: 1)
            k = floats(shape.keyCount, seed: 2)
            v = floats(shape.keyCount, seed: 3)
            dOut = floats(shape.queryCount, seed: 4)
            visible = (0..<layout.rows).map { rule.visible($0, layout) }
        }

        var twin: Reference.AttentionSizes {
            .init(
                rows: shape.rows, keyRows: shape.keyRows, heads: shape.heads,
                keyHeads: shape.keyHeads, width: shape.headWidth, scale: Double(shape.scale))
        }

        func forward() -> (out: [Float], logSums: [Float]) {
            var out = [Float](repeating: .nan, count: shape.queryCount)
            var logSums = [Float](repeating: .nan, count: shape.logSumCount)
            var outSpan = out.mutableSpan
            var sumSpan = logSums.mutableSpan
            attention(
                q: q.span, k: k.span, v: v.span, visible: visible.span, into: &outSpan,
                logSums: &sumSpan, shape: shape)
            return (out, logSums)
        }

        func backward(_ logSums: [Float], into fill: Float = 0) -> ([Float], [Float], [Float]) {
            var dq = [Float](repeating: fill, count: q.count)
            var dk = [Float](repeating: fill, count: k.count)
            var dv = [Float](repeating: fill, count: v.count)
            var dqSpan = dq.mutableSpan
            var dkSpan = dk.mutableSpan
            var dvSpan = dv.mutableSpan
            attentionBackward(
                dOut.span, q: q.span, k: k.span, v: v.span, visible: visible.span,
                logSums: logSums.span, dq: &dqSpan, dk: &dkSpan, dv: &dvSpan, shape: shape)
            return (dq, dk, dv)
        }
    }

    @Test("output and gradients equal the twin's under every rule", arguments: sizes)
    func twin(sizes: Sizes) {
        let layout = Self.ragged
        for rule in Rule.allCases {
            let inputs = Inputs(layout, sizes, rule)
            let sees = { rule.sees($0, $1, layout) }
            let expected = Reference.attention(
                q: inputs.q.doubles, k: inputs.k.doubles, v: inputs.v.doubles, inputs.twin,
                sees: sees)
            let gradient = Reference.attentionGradient(
                inputs.dOut.doubles, q: inputs.q.doubles, k: inputs.k.doubles,
                v: inputs.v.doubles, inputs.twin, sees: sees)
            for path in availablePaths {
                on(path) {
                    let (out, logSums) = inputs.forward()
                    expectClose(out, expected, "\(rule) on \(path)")
                    let (dq, dk, dv) = inputs.backward(logSums, into: 1)
                    expectClose(dq, gradient.dq.map { $0 + 1 }, "dq of \(rule) on \(path)")
                    expectClose(dk, gradient.dk.map { $0 + 1 }, "dk of \(rule) on \(path)")
                    expectClose(dv, gradient.dv.map { $0 + 1 }, "dv of \(rule) on \(path)")
                }
            }
        }
    }

    @Test(
        "the gradient is that of differences",
        arguments: [Rule.causal, .interStrict, .intraWithSink])
    func differences(rule: Rule) {
        let layout = Layout([[2, 1], [1, 2]])
        let inputs = Inputs(layout, Sizes(heads: 2, keyHeads: 1, width: 3), rule)
        let (q, k, v) = (inputs.q.doubles, inputs.k.doubles, inputs.v.doubles)
        let dOut = inputs.dOut.doubles
        let sees = { rule.sees($0, $1, layout) }
        let twin = inputs.twin
        let gradient = Reference.attentionGradient(dOut, q: q, k: k, v: v, twin, sees: sees)
        expectSame(
            gradient.dq,
            numericGradient(at: q) {
                weighed(Reference.attention(q: $0, k: k, v: v, twin, sees: sees), by: dOut)
            })
        expectSame(
            gradient.dk,
            numericGradient(at: k) {
                weighed(Reference.attention(q: q, k: $0, v: v, twin, sees: sees), by: dOut)
            })
        expectSame(
            gradient.dv,
            numericGradient(at: v) {
                weighed(Reference.attention(q: q, k: k, v: $0, twin, sees: sees), by: dOut)
            })
    }

    @Test("who sees nothing gets exactly nothing, forward and back")
    func nothing() {
        var inputs = Inputs(Layout([[3]]), Sizes(heads: 2, keyHeads: 2, width: 8), .interStrict)
        inputs.k = inputs.k.map { _ in .nan }
        inputs.v = inputs.k
        let (out, logSums) = inputs.forward()
        #expect(out.allSatisfy { $0 == 0 })
        #expect(logSums.allSatisfy { $0 == -.infinity })
        let (dq, dk, dv) = inputs.backward(logSums)
        #expect((dq + dk + dv).allSatisfy { $0 == 0 })
    }

    @Test("rows appended one by one against a cache give the bits of the whole pass")
    func incremental() {
        let layout = Layout([[2, 3, 1, 9]])
        for rule in [Rule.causal, .intra, .interStrict, .interWithSelf] {
            let whole = Inputs(layout, Sizes(heads: 4, keyHeads: 2, width: 16), rule)
            let expected = whole.forward().out
            for row in 0..<layout.rows {
                var one = whole
                one.shape.rows = 1
                one.shape.keyRows = row + 1
                one.q = Array(whole.q[row * 64..<(row + 1) * 64])
                one.k = Array(whole.k[..<((row + 1) * 32)])
                one.v = Array(whole.v[..<((row + 1) * 32)])
                one.visible = [whole.visible[row]]
                #expect(one.forward().out == Array(expected[row * 64..<(row + 1) * 64]))
            }
        }
    }

    @Test("shuffled queries give shuffled output, to the bit")
    func shuffled() {
        let inputs = Inputs(Self.ragged, Sizes(heads: 2, keyHeads: 1, width: 8), .causal)
        var random = SeededRandom(seed: 7)
        let order = (0..<inputs.shape.rows).shuffled(using: &random)
        var other = inputs
        other.visible = order.map { inputs.visible[$0] }
        other.q = order.flatMap { inputs.q[$0 * 16..<($0 + 1) * 16] }
        let out = inputs.forward().out
        #expect(other.forward().out == order.flatMap { Array(out[$0 * 16..<($0 + 1) * 16]) })
    }

    @Test("two runs that meet are one run")
    func runs() {
        var inputs = Inputs(Layout([[9]]), Sizes(heads: 1, keyHeads: 1, width: 8), .everything)
        let one = inputs.forward().out
        inputs.visible = (0..<9).map { VisibleKeys(0..<$0, $0..<9) }
        expectClose(inputs.forward().out, one.doubles)
    }

    @Test("logits far apart stay finite")
    func extremes() {
        var inputs = Inputs(Layout([[12]]), Sizes(heads: 1, keyHeads: 1, width: 16), .causal)
        inputs.q = inputs.q.map { $0 * 1e4 }
        let (out, logSums) = inputs.forward()
        #expect(out.allSatisfy { $0.isFinite })
        let (dq, dk, dv) = inputs.backward(logSums)
        #expect((dq + dk + dv).allSatisfy { $0.isFinite })
    }

    @Test("a row that sees keys that are not there is our own fault")
    func outside() async {
        await #expect(processExitsWith: .failure) {
            var inputs = Inputs(Layout([[3]]), Sizes(heads: 1, keyHeads: 1, width: 4), .causal)
            inputs.visible[1] = VisibleKeys(0..<4)
            _ = inputs.forward()
        }
    }
}
