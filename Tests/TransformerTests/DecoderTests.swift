import ReferenceModel
import Tensors
import Testing
import Transformer

@Suite("a decoder")
struct DecoderTests {
    @Test("logits equal those of the Double twin", arguments: 0..<3)
    func twin(kind: Int) throws {
        let small = SmallDecoder.plain(layerCount: 3, kind: kind, tiesHead: kind == 2)
        let input = DecoderInput(tokens(9, seed: 1))
        let expected = Reference.decoder(
            input.tokens.map(Int.init), small.reference, small.sizes, layerCount: 3,
            inverseFrequencies: small.decoder.shape.inverseFrequencies
        ) { _, row, key in key <= row }
        let ours = try small.logits(input).map(Double.init)
        #expect(normalisedError(ours, expected).squareRoot() < floatError)
    }

    @Test("ordinary masks are a plain decoder, bit by bit, whatever the segments")
    func plain() throws {
        let small = SmallDecoder.plain(layerCount: 2)
        let decoder = small.decoder
        let numbers = tokens(11, seed: 2)
        var x = [Float](repeating: 0, count: 11 * 8)
        var rows = x.mutableSpan
        gatherRows(
            decoder.parameters.span.extracting(decoder.layout.embedding), numbers.span,
            into: &rows, width: 8)
        let pass = BlockPass(
            positions: Array(0..<11), inverseFrequencies: decoder.shape.inverseFrequencies,
            visible: (0..<11).map { .causal(sequenceStart: 0, row: $0) })
        var trace = BlockTrace()
        for block in decoder.layout.blocks {
            forward(
                &x, block: block, parameters: decoder.parameters.span, pass: pass, trace: &trace)
        }
        #expect(try small.hidden(DecoderInput(numbers)) == x)
        let segments: [Int32] = [0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3]
        #expect(try small.hidden(DecoderInput(numbers, segments: segments)) == x)
    }

    @Test("any cut into passes equals one pass", arguments: 0..<3)
    func incremental(kind: Int) throws {
        let small = SmallDecoder.plain(layerCount: 2, kind: kind)
        let numbers = tokens(12, seed: 3)
        let full = try small.hidden(DecoderInput(numbers))
        for cuts in [[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [7, 1, 1, 3], [5, 7]] {
            var states = [DecoderState(small.decoder.shape)]
            var scratch = DecoderScratch()
            var hidden: [Float] = []
            var start = 0
            for count in cuts {
                hidden += try small.decoder.forward(
                    [DecoderInput(Array(numbers[start..<start + count]))], states: &states,
                    scratch: &scratch)
                start += count
            }
            #expect(error(hidden, full) < floatError)
            #expect(states[0].rows == 12)
        }
    }

    @Test("sequences in one pass do not see each other")
    func batch() throws {
        let small = SmallDecoder(.split(intra: 1, inter: 1, layerCount: 3))
        let inputs = (0..<4).map { index in
            DecoderInput(
                tokens(3 + 2 * index, seed: UInt64(index)),
                segments: (0..<3 + 2 * index).map { Int32($0 / 2) })
        }
        var states = inputs.map { _ in DecoderState(small.decoder.shape) }
        var scratch = DecoderScratch()
        var hidden = try small.decoder.forward(inputs, states: &states, scratch: &scratch)
        var alone = try inputs.flatMap { try small.hidden($0) }
        #expect(error(hidden, alone) < floatError)
        // And they go on together.
        let more = inputs.indices.map { DecoderInput([Int32($0), 5], segments: [6, 6]) }
        hidden = try small.decoder.forward(more, states: &states, scratch: &scratch)
        alone = try zip(inputs, more).flatMap { first, second in
            try small.hidden(
                DecoderInput(
                    first.tokens + second.tokens, segments: first.segments + second.segments)
            ).suffix(2 * 8)
        }
        #expect(error(hidden, alone) < floatError)
    }

    @Test("what does not fit is refused by name, and the state stays as it was")
    func refused() throws {
        let small = SmallDecoder(.ordinary(layerCount: 1), positionsMax: 6)
        let decoder = small.decoder
        var state = DecoderState(decoder.shape)
        var scratch = DecoderScratch()
        func refusal(_ input: DecoderInput) -> DecoderError? {
            #expect(throws: DecoderError.self) {
                try decoder.forward(input, state: &state, scratch: &scratch)
            }
        }
        _ = try decoder.forward(
            DecoderInput([1, 2, 3], segments: [0, 2, 2]), state: &state, scratch: &scratch)
        #expect(refusal(DecoderInput([])) == .nothing)
        #expect(refusal(DecoderInput([30])) == .unknownToken(30, vocabularyCount: 30))
        #expect(refusal(DecoderInput([-1])) == .unknownToken(-1, vocabularyCount: 30))
        #expect(
            refusal(DecoderInput([1, 2, 3, 4]))
                == .contextFull(rows: 3, added: 4, positionsMax: 6))
        #expect(refusal(DecoderInput([1], segments: [1])) == .segmentBefore(1, open: 2))
        #expect(state.rows == 3 && state.segment == 2)
        _ = try decoder.forward(DecoderInput([4, 5, 6]), state: &state, scratch: &scratch)
        let wide = SmallDecoder(.ordinary(layerCount: 1), positionsMax: 1 << 20).decoder
        var fresh = DecoderState(wide.shape)
        let many = DecoderInput(Array(repeating: 0, count: Decoder.rowsMax + 1))
        #expect(throws: DecoderError.tooManyRows(Decoder.rowsMax + 1)) {
            try wide.forward(many, state: &fresh, scratch: &scratch)
        }
        #expect(
            DecoderError.contextFull(rows: 3, added: 4, positionsMax: 6).description
                == "4 tokens after 3 exceed the model's 6 positions: shorten the input")
    }
}
