// Third stage, for lists that a ranker was asked about: what its log-odds are worth beside the scores of the list.
//
//     score = a s + b o,  s and o relative to their means over the list, o divided by its deviation
//
// Softmax over the list, two weights, pulled to (1, 0): nothing learnt means nothing changed. A ranker answers when it
// can and fails when it likes, so what it says has no part in the other two stages, whose weights are a function of the
// log; and two weights are learnt from the few lists that a slow model can be asked about. Every such list is measured
// first, as it stood and as this stage orders it; the stage serves while that gained more.

public import Interactions

public struct RankerStage: Sendable {
    /// A list whose item came, both columns relative to their means.
    struct Asked: Sendable, Hashable {
        var scores: [Float]
        var odds: [Float]
        var target: Int
    }

    /// Latest lists that are learnt from.
    static let listsMax = 500
    /// Lists between two fits.
    static let refitInterval = 25
    /// Lists that new weights are measured on before they may serve.
    static let judgedMin: UInt64 = 50
    /// Items of a list at most; further ones of a longer list are not learnt from.
    static let itemsMax = 1_000
    /// The prior is worth so many lists of an average curvature of 1.
    private static let prior = 2.0
    private static let stepsMax = 20

    /// Whose log-odds these are: another ranker is learnt anew.
    public private(set) var version: UInt64 = 0
    public private(set) var scoreWeight: Float = 1
    /// For log-odds divided by their deviation.
    public private(set) var oddsWeight: Float = 0
    /// Inverse of that deviation.
    public private(set) var oddsScale: Float = 0
    /// Of the lists as they stood, as this stage orders them, and by the log-odds alone.
    public private(set) var plain = Meter()
    public private(set) var ranked = Meter()
    public private(set) var alone = Meter()
    private var lists: [Asked] = []
    private var sinceFit = 0

    public init(version: UInt64 = 0) { self.version = version }

    /// Whether lists of this ranker are better for it.
    public func serves(_ version: UInt64) -> Bool {
        version == self.version && ranked.listCount >= Self.judgedMin && oddsWeight != 0
            && ranked.gain > plain.gain
    }

    /// What log-odds add to each item, relative to the mean of the list.
    public func shares(odds: [Double]) -> [Double] {
        let factor = Double(oddsWeight * oddsScale)
        let mean = odds.reduce(0, +) / Double(max(odds.count, 1))
        return odds.map { ($0 - mean) * factor }
    }

    /// Scores of a list with the ranker's log-odds; higher is better.
    public func scores(_ scores: [Double], odds: [Double]) -> [Double] {
        precondition(scores.count == odds.count, "log-odds an item")
        let mean = scores.reduce(0, +) / Double(max(scores.count, 1))
        return zip(scores, shares(odds: odds)).map { ($0 - mean) * Double(scoreWeight) + $1 }
    }

    /// Takes a list of which it is known which item came: measures first, then learns. Returns whether what serves
    /// changed.
    @discardableResult
    public mutating func learn(
        scores: [Double], odds: [Double], target: Int, version: UInt64
    ) -> Bool {
        precondition(scores.count == odds.count && scores.indices.contains(target), "a list")
        guard scores.count <= Self.itemsMax else { return false }
        let before = (scoreWeight, oddsWeight, serves(self.version))
        if version != self.version { self = RankerStage(version: version) }
        plain.add(Self.place(of: target, in: scores))
        ranked.add(Self.place(of: target, in: self.scores(scores, odds: odds)))
        alone.add(Self.place(of: target, in: odds))
        if lists.count == Self.listsMax { lists.removeFirst() }
        lists.append(
            Asked(scores: Self.centred(scores), odds: Self.centred(odds), target: target))
        sinceFit += 1
        if sinceFit >= Self.refitInterval {
            sinceFit = 0
            fit()
        }
        return before != (scoreWeight, oddsWeight, serves(self.version))
    }

    private static func centred(_ values: [Double]) -> [Float] {
        let mean = values.reduce(0, +) / Double(max(values.count, 1))
        return values.map { Float($0 - mean) }
    }

    /// Counted from 0, in the middle of equal scores.
    private static func place(of target: Int, in scores: [Double]) -> Double {
        let own = scores[target]
        return scores.indices.reduce(0.0) { sum, index in
            guard index != target else { return sum }
            return sum + (scores[index] > own ? 1 : scores[index] == own ? 0.5 : 0)
        }
    }

    // MARK: - Fitting

    /// Newton's method with halved steps on a convex loss of two weights: a millisecond or two.
    private mutating func fit() {
        var square = 0.0
        for list in lists {
            let sum = list.odds.reduce(0.0) { $0 + Double($1 * $1) }
            square += sum / Double(max(list.odds.count, 1))
        }
        let deviation = (square / Double(max(lists.count, 1))).squareRoot()
        guard deviation > 1e-6 else {
            (scoreWeight, oddsWeight, oddsScale) = (1, 0, 0)
            return
        }
        let scale = Float(1 / deviation)
        // The weight of before, for the new deviation.
        var at = (a: Double(scoreWeight), b: Double(oddsWeight * oddsScale / scale))
        var now = loss(at.a, at.b, scale)
        for _ in 0..<Self.stepsMax {
            let determinant = now.aa * now.bb - now.ab * now.ab
            let step = (
                a: (now.bb * now.a - now.ab * now.b) / determinant,
                b: (now.aa * now.b - now.ab * now.a) / determinant
            )
            var length = 1.0
            var next = loss(at.a - step.a, at.b - step.b, scale)
            while next.value > now.value, length > 1e-3 {
                length /= 2
                next = loss(at.a - length * step.a, at.b - length * step.b, scale)
            }
            let gain = now.value - next.value
            guard gain > 0 else { break }
            at = (at.a - length * step.a, at.b - length * step.b)
            now = next
            if gain < 1e-9 { break }
        }
        (scoreWeight, oddsWeight, oddsScale) = (Float(at.a), Float(at.b), scale)
    }

    /// Loss over all lists with its first and second derivatives.
    private struct Loss {
        var value = 0.0
        var a = 0.0
        var b = 0.0
        var aa = 0.0
        var ab = 0.0
        var bb = 0.0
    }

    private func loss(_ a: Double, _ b: Double, _ scale: Float) -> Loss {
        var sum = Loss(
            value: Self.prior / 2 * ((a - 1) * (a - 1) + b * b), a: Self.prior * (a - 1),
            b: Self.prior * b, aa: Self.prior, ab: 0, bb: Self.prior)
        var shares: [Float] = []
        for list in lists {
            shares.removeAll(keepingCapacity: true)
            for (score, odds) in zip(list.scores, list.odds) {
                shares.append(Float(a * Double(score) + b * Double(odds * scale)))
            }
            let own = Double(shares[list.target])
            sum.value += softmax(&shares) - own
            var mean = (s: 0.0, o: 0.0)
            var square = (ss: 0.0, so: 0.0, oo: 0.0)
            for index in shares.indices {
                let p = Double(shares[index])
                let (s, o) = (Double(list.scores[index]), Double(list.odds[index] * scale))
                mean = (mean.s + p * s, mean.o + p * o)
                square = (square.ss + p * s * s, square.so + p * s * o, square.oo + p * o * o)
            }
            sum.a += mean.s - Double(list.scores[list.target])
            sum.b += mean.o - Double(list.odds[list.target] * scale)
            sum.aa += square.ss - mean.s * mean.s
            sum.ab += square.so - mean.s * mean.o
            sum.bb += square.oo - mean.o * mean.o
        }
        return sum
    }
}

// MARK: - Stored

extension RankerStage {
    private static let formatVersion: UInt8 = 1

    /// Everything that it has learnt and learns from: 160 bytes a list of 20.
    public func encoded() -> [UInt8] {
        var out = ByteWriter()
        out.byte(Self.formatVersion)
        out.word64(version)
        for value in [scoreWeight, oddsWeight, oddsScale] { out.varint(UInt64(value.bitPattern)) }
        out.varint(UInt64(sinceFit))
        for meter in [plain, ranked, alone] { meter.append(to: &out) }
        out.varint(UInt64(lists.count))
        for list in lists {
            out.varint(UInt64(list.target))
            out.varint(UInt64(list.scores.count))
            for value in list.scores + list.odds { out.varint(UInt64(value.bitPattern)) }
        }
        return out.bytes
    }

    public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
        self.init()
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.formatVersion else {
            throw MalformedBytes("is no ranker's stage of format \(Self.formatVersion)")
        }
        version = try reader.word64()
        scoreWeight = try reader.number()
        oddsWeight = try reader.number()
        oddsScale = try reader.number()
        sinceFit = try reader.count(max: Self.refitInterval)
        plain = try Meter(from: &reader)
        ranked = try Meter(from: &reader)
        alone = try Meter(from: &reader)
        for _ in 0..<(try reader.count(max: Self.listsMax)) {
            let target = try reader.count(max: Self.itemsMax - 1)
            let count = try reader.count(max: Self.itemsMax)
            guard target < count else { throw MalformedBytes("a ranked list has no target") }
            var values: [Float] = []
            for _ in 0..<2 * count { values.append(try reader.number()) }
            lists.append(
                Asked(
                    scores: Array(values[..<count]), odds: Array(values[count...]), target: target))
        }
        guard reader.remaining == 0 else { throw MalformedBytes("a ranker's stage ends too late") }
    }
}

extension ByteReader {
    fileprivate mutating func number() throws(MalformedBytes) -> Float {
        let value = Float(bitPattern: UInt32(try count(max: Int(UInt32.max))))
        guard value.isFinite else { throw MalformedBytes("a number is not finite") }
        return value
    }
}
