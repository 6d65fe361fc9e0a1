import Foundation
import Testing
import Transformer

@Suite("generation")
struct GenerationTests {
    let small = SmallDecoder(.ordinary(layerCount: 2), positionsMax: 20)

    func generate(
        _ prompt: [Int32], _ sampling: Sampling = .greedy, count: Int = 8,
        stops: Set<Int32> = [], receive: (Int32) -> Bool = { _ in true }
    ) throws -> (Generation, DecoderState) {
        var state = DecoderState(small.decoder.shape)
        var scratch = DecoderScratch()
        let made = try small.decoder.generate(
            DecoderInput(prompt), state: &state, sampling: sampling,
            limits: GenerationLimits(countMax: count, stopTokens: stops), scratch: &scratch,
            receive: receive)
        return (made, state)
    }

    @Test("greedy takes the best of a full pass, every time")
    func greedy() throws {
        let prompt = tokens(4, seed: 1)
        let (made, state) = try generate(prompt)
        var all = prompt
        for token in made.tokens {
            let logits = try small.logits(DecoderInput(all)).suffix(30)
            #expect(logits.max() == logits[logits.startIndex + Int(token)])
            all.append(token)
        }
        #expect(made.end == .countMax && made.tokens.count == 8)
        #expect(state.rows == prompt.count + 7)
    }

    @Test("ends at a stop token, at the last position, at its count or when told to")
    func ends() throws {
        let prompt = tokens(4, seed: 1)
        let (free, _) = try generate(prompt)
        let stop = free.tokens[3]
        let before = free.tokens.prefix { $0 != stop }
        #expect(
            try generate(prompt, stops: [stop]).0
                == Generation(tokens: Array(before), end: .stopToken(stop)))
        let (long, state) = try generate(prompt, count: 100)
        #expect(long.end == .contextFull && long.tokens.count == 17 && state.rows == 20)
        #expect(try generate(prompt, count: 0).0 == Generation(tokens: [], end: .countMax))
        var seen: [Int32] = []
        let (cut, _) = try generate(prompt) {
            seen.append($0)
            return seen.count < 3
        }
        #expect(cut.end == .cancelled && cut.tokens == seen && seen.count == 3)
        #expect(throws: DecoderError.contextFull(rows: 0, added: 21, positionsMax: 20)) {
            try generate(tokens(21, seed: 2))
        }
    }

    @Test("a prompt longer than one part is fed in parts, its segments too")
    func parts() throws {
        let long = SmallDecoder(
            .split(intra: 1, inter: 1, layerCount: 2), positionsMax: 1200
        ).decoder
        let numbers = tokens(1100, seed: 3)
        let input = DecoderInput(numbers, segments: numbers.indices.map { Int32($0 / 300) })
        var (one, parts) = (DecoderState(long.shape), DecoderState(long.shape))
        var scratch = DecoderScratch()
        let whole = try long.forward(input, state: &one, scratch: &scratch)
        let fed = try long.prefill(input, state: &parts, scratch: &scratch)
        #expect(error(fed, whole) < floatError)
    }

    @Test("an answer is a segment of its own, fed as such")
    func segments() throws {
        let small = SmallDecoder(.split(intra: 1, inter: 1, layerCount: 2))
        let prompt = DecoderInput(tokens(5, seed: 6), segments: [0, 1, 1, 2, 2])
        var state = DecoderState(small.decoder.shape)
        var scratch = DecoderScratch()
        let made = try small.decoder.generate(
            prompt, segment: 3, state: &state, limits: GenerationLimits(countMax: 6),
            scratch: &scratch)
        var all = prompt
        for token in made.tokens {
            let logits = try small.logits(all).suffix(30)
            #expect(logits.max() == logits[logits.startIndex + Int(token)])
            all = DecoderInput(all.tokens + [token], segments: all.segments + [3])
        }
        #expect(state.segment == 3)
        #expect(throws: DecoderError.segmentBefore(1, open: 2)) {
            var fresh = DecoderState(small.decoder.shape)
            return try small.decoder.generate(
                prompt, segment: 1, state: &fresh, limits: GenerationLimits(countMax: 1),
                scratch: &scratch)
        }
    }

    @Test("a seed draws the same text again, another one another")
    func seeds() throws {
        let prompt = tokens(4, seed: 1)
        let hot = { Sampling(temperature: 3, seed: $0) }
        let first = try generate(prompt, hot(1)).0
        #expect(try generate(prompt, hot(1)).0 == first)
        #expect(try generate(prompt, hot(2)).0 != first)
    }

    @Test("draws come as often as their probability, within what top-k and top-p leave")
    func shares() throws {
        let shares: [Float] = [0.4, 0.3, 0.2, 0.1]
        let logits = shares.map { log($0) }
        func counts(_ sampling: Sampling) throws -> [Int] {
            var counts = [0, 0, 0, 0]
            for step in 0..<4000 {
                counts[Int(try sampling.token(logits.span, step: step))] += 1
            }
            return counts
        }
        for (share, count) in zip(shares, try counts(Sampling(temperature: 1, seed: 5))) {
            #expect(abs(Float(count) / 4000 - share) < 0.03)
        }
        // Temperature 2: square roots of the shares.
        let roots = shares.map { $0.squareRoot() }
        for (root, count) in zip(roots, try counts(Sampling(temperature: 2, seed: 6))) {
            #expect(abs(Float(count) / 4000 - root / roots.reduce(0, +)) < 0.03)
        }
        let two = try counts(Sampling(temperature: 1, topK: 2))
        #expect(two[2] + two[3] == 0 && abs(two[0] - 2286) < 150)
        // 0.4 + 0.3 reach 0.65, as transformers counts: the token that crosses stays.
        let nucleus = try counts(Sampling(temperature: 1, topP: 0.65))
        #expect(nucleus[2] + nucleus[3] == 0 && nucleus[1] > 0)
        #expect(try counts(Sampling(temperature: 1, topP: 0.01)) == [4000, 0, 0, 0])
        #expect(try counts(.greedy) == [4000, 0, 0, 0])
    }

    @Test("what may not come does not, and damaged logits are an error")
    func masked() throws {
        let masked: [Float] = [-.infinity, 1, -.infinity, 1]
        for step in 0..<50 {
            let token = try Sampling(temperature: 1, seed: 1).token(masked.span, step: step)
            #expect(token == 1 || token == 3)
        }
        #expect(try Sampling.greedy.token(masked.span, step: 0) == 1)
        let damaged: [[Float]] = [[.nan, .nan], [.infinity, 0], [-.infinity, -.infinity]]
        for logits in damaged {
            #expect(throws: DecoderError.notFinite) {
                try Sampling.greedy.token(logits.span, step: 0)
            }
        }
        let half: [Float] = [.nan, 1]
        #expect(throws: DecoderError.notFinite) {
            try Sampling(temperature: 1).token(half.span, step: 0)
        }
    }
}
