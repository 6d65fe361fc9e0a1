// The masks by their definition (methods 1.4), by what changes when something else is changed, and by the law of the
// item cache.

import ReferenceModel
import Tensors
import Testing
import Transformer

@Suite("item masks")
struct ItemMaskTests {
    /// An instruction of two tokens, items of 3, 1 and 4, the answer.
    static let segments: [Int32] = [0, 0, 1, 1, 1, 2, 3, 3, 3, 3, 4, 4]
    static let items = [2..<5, 5..<6, 6..<10]
    static let numbers = tokens(12, seed: 7)
    static let input = DecoderInput(numbers, segments: segments)

    static func variants(_ layers: [TokenRelation]) -> [ItemMasks] {
        (0..<8).map { bits in
            var masks = ItemMasks(layers: layers)
            masks.interSeesSelf = bits & 1 != 0
            masks.interSeesSink = bits & 2 != 0
            masks.intraSeesSink = bits & 4 != 0
            return masks
        }
    }

    /// The formulas of the specification.
    static func sees(_ masks: ItemMasks, _ layer: Int, _ row: Int, _ key: Int) -> Bool {
        guard key <= row else { return false }
        let (own, other) = (segments[row], segments[key])
        switch masks.layers[layer] {
        case .ordinary: return true
        case .intra: return own == other || (masks.intraSeesSink && other == 0)
        case .inter:
            let isVisible = other == 0 ? masks.interSeesSink : own != other
            return isVisible || (masks.interSeesSelf && row == key)
        }
    }

    static func change(_ input: DecoderInput, at row: Int) -> DecoderInput {
        var changed = input
        changed.tokens[row] = (changed.tokens[row] + 1) % 30
        return changed
    }

    static func rows(_ hidden: [Float], _ rows: Range<Int>, width: Int = 8) -> [Float] {
        Array(hidden[rows.lowerBound * width..<rows.upperBound * width])
    }

    @Test(
        "every option is what its formula says, in one pass and in parts",
        arguments: [
            [TokenRelation.intra, .inter], [.intra, .ordinary, .inter],
            [.inter, .intra, .inter, .intra],
        ])
    func formulas(layers: [TokenRelation]) throws {
        for masks in Self.variants(layers) {
            let small = SmallDecoder(masks)
            let expected = Reference.decoder(
                Self.numbers.map(Int.init), small.reference, small.sizes,
                layerCount: layers.count,
                inverseFrequencies: small.decoder.shape.inverseFrequencies
            ) { Self.sees(masks, $0, $1, $2) }
            let full = try small.hidden(Self.input)
            let logits = small.decoder.logits(full, rows: Array(0..<12)).map(Double.init)
            #expect(normalisedError(logits, expected).squareRoot() < floatError)
            var states = [DecoderState(small.decoder.shape)]
            var scratch = DecoderScratch()
            var parts: [Float] = []
            for part in [0..<1, 1..<4, 4..<5, 5..<8, 8..<12] {
                parts += try small.decoder.forward(
                    [
                        DecoderInput(
                            Array(Self.numbers[part]), segments: Array(Self.segments[part]))
                    ], states: &states, scratch: &scratch)
            }
            #expect(error(parts, full) < floatError)
        }
    }

    @Test("an intra layer does not see another item")
    func intra() throws {
        let small = SmallDecoder(ItemMasks(layers: [.intra, .intra]))
        let before = try small.hidden(Self.input)
        for (index, item) in Self.items.enumerated() {
            for other in 0..<12 where !item.contains(other) {
                let after = try small.hidden(Self.change(Self.input, at: other))
                #expect(Self.rows(after, item) == Self.rows(before, item), "\(index) \(other)")
            }
            let after = try small.hidden(Self.change(Self.input, at: item.lowerBound))
            let last = item.upperBound - 1..<item.upperBound
            #expect(Self.rows(after, last) != Self.rows(before, last))
        }
    }

    @Test("a strict inter layer does not see its own item")
    func inter() throws {
        let small = SmallDecoder(ItemMasks(layers: [.inter]))
        let before = try small.hidden(Self.input)
        for item in Self.items {
            let last = item.upperBound - 1..<item.upperBound
            for row in item.dropLast() {
                let after = try small.hidden(Self.change(Self.input, at: row))
                #expect(Self.rows(after, last) == Self.rows(before, last))
            }
            let after = try small.hidden(Self.change(Self.input, at: item.lowerBound - 1))
            #expect(Self.rows(after, last) != Self.rows(before, last))
        }
    }

    @Test("permuting whole items permutes the inputs of the first inter layer")
    func permuted() throws {
        let small = SmallDecoder(ItemMasks(layers: [.intra, .intra]))
        let before = try small.hidden(Self.input)
        let order = [2, 0, 1]
        let parts = order.map { Array(Self.numbers[Self.items[$0]]) }
        let input = DecoderInput(
            Self.numbers[0..<2] + parts.flatMap(\.self) + Self.numbers[10...],
            segments: [0, 0]
                + parts.enumerated().flatMap { index, part in
                    part.map { _ in Int32(index + 1) }
                } + [4, 4])
        let after = try small.hidden(input)
        var start = 2
        for index in order {
            let item = Self.items[index]
            let moved = start..<start + item.count
            #expect(error(Self.rows(after, moved), Self.rows(before, item)) < floatError)
            start += item.count
        }
    }

    @Test("a boundary state depends on nothing but the item")
    func boundary() throws {
        let masks = ItemMasks.split(intra: 2, inter: 1, layerCount: 4)
        #expect(masks.boundaryLayer == 2)
        let small = SmallDecoder(masks)
        let leading = SmallDecoder(ItemMasks(layers: [.intra, .intra])).decoder
        // The first two blocks, embedding included, of the same weights.
        let blocks = Decoder(
            leading.shape,
            parameters: Array(
                small.decoder.parameters[..<small.decoder.layout.blocks[2].attentionNorm.lowerBound]
                    + small.decoder.parameters[small.decoder.layout.norm.lowerBound...]))
        var scratch = DecoderScratch()
        let item: [Int32] = [4, 9, 2, 17, 8]
        let state = try small.decoder.boundaryStates([item], scratch: &scratch)[0]
        // Alike means the same bits: another model version of the same weights, and again.
        #expect(try small.decoder.boundaryStates([item], scratch: &scratch)[0] == state)
        let together = try small.decoder.boundaryStates(
            [[1], item, [2, 3]], scratch: &scratch)
        #expect(error(together[1], state) < floatError)
        for offset in [0, 7, 60] {
            var states = [DecoderState(blocks.shape)]
            if offset > 0 {
                _ = try blocks.forward(
                    [DecoderInput(tokens(offset, seed: UInt64(offset)))], states: &states,
                    scratch: &scratch)
            }
            let alone = try blocks.forward(
                [DecoderInput(item, segments: item.map { _ in 3 })], states: &states,
                scratch: &scratch)
            #expect(alone == state, "the same rows in one pass: the same bits")
            var whole = [DecoderState(blocks.shape)]
            let hidden = try blocks.forward(
                [
                    DecoderInput(
                        tokens(offset, seed: 5) + item,
                        segments: (0..<offset).map { Int32($0 / 4) } + item.map { _ in 40 })
                ], states: &whole, scratch: &scratch)
            #expect(error(Array(hidden.suffix(5 * 8)), state) < floatError)
        }
    }

    @Test(
        "items entered by their boundary states equal the full pass, one by one",
        arguments: [
            ItemMasks.split(intra: 1, inter: 1, layerCount: 2),
            .split(intra: 2, inter: 1, layerCount: 4),
            ItemMasks(layers: [.intra, .inter, .intra, .inter]),
        ])
    func itemCache(masks: ItemMasks) throws {
        var variant = masks
        for withSelf in [false, true] {
            variant.interSeesSelf = withSelf
            let small = SmallDecoder(variant)
            let full = try small.hidden(Self.input)
            var states = [DecoderState(small.decoder.shape)]
            var scratch = DecoderScratch()
            var hidden = try small.decoder.forward(
                [DecoderInput([Self.numbers[0], Self.numbers[1]])], states: &states,
                scratch: &scratch)
            let boundaries = try small.decoder.boundaryStates(
                Self.items.map { Array(Self.numbers[$0]) }, scratch: &scratch)
            for (index, boundary) in boundaries.enumerated() {
                hidden += try small.decoder.forward(
                    boundaries: [boundary], segments: [Int32(index + 1)], states: &states,
                    scratch: &scratch)
            }
            // The answer, token by token.
            for row in 10..<12 {
                hidden += try small.decoder.forward(
                    [DecoderInput([Self.numbers[row]], segments: [4])], states: &states,
                    scratch: &scratch)
            }
            #expect(error(hidden, full) < floatError)
        }
    }

    @Test(
        "a copy of the sink in every item keeps boundary states exact; a sink that is seen ends them"
    )
    func sinks() throws {
        var masks = ItemMasks.split(intra: 1, inter: 1, layerCount: 2)
        masks.intraSeesSink = true
        var scratch = DecoderScratch()
        #expect(masks.boundaryLayer == 0)
        #expect(throws: DecoderError.noBoundary) {
            try SmallDecoder(masks).decoder.boundaryStates([[1]], scratch: &scratch)
        }
        masks.intraSeesSink = false
        let small = SmallDecoder(masks)
        let sink: [Int32] = [7]
        let items: [[Int32]] = [sink + [1, 2], sink + [3]]
        let full = try small.hidden(DecoderInput(segments: [sink] + items, first: 0))
        var states = [DecoderState(small.decoder.shape)]
        var hidden = try small.decoder.forward(
            [DecoderInput(sink)], states: &states, scratch: &scratch)
        for (index, boundary) in try small.decoder.boundaryStates(items, scratch: &scratch)
            .enumerated()
        {
            hidden += try small.decoder.forward(
                boundaries: [boundary], segments: [Int32(index + 1)], states: &states,
                scratch: &scratch)
        }
        #expect(error(hidden, full) < floatError)
        #expect(throws: DecoderError.segmentClosed(2)) {
            try small.decoder.forward([DecoderInput([1])], states: &states, scratch: &scratch)
        }
        let again = try small.decoder.boundaryStates([[1]], scratch: &scratch)
        #expect(throws: DecoderError.segmentBefore(2, open: 2)) {
            try small.decoder.forward(
                boundaries: again, segments: [2], states: &states, scratch: &scratch)
        }
    }
}
