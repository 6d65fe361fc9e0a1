// The template's text: one to five short sentences, the strongest first, nothing when there is nothing to say.

extension TemplateSummariser {
    /// The text of a body; `anchors` are titles that stand for the rest.
    public func text(of body: [UInt8], anchors: [String] = []) -> String {
        let profile = profile(body)
        var sentences: [String] = []
        func say(_ opening: String, _ names: [String]) {
            guard !names.isEmpty else { return }
            sentences.append("\(opening) \(Self.enumeration(names)).")
        }
        say("Mostly", profile.strongest(.category, 4))
        say("Brands:", profile.strongest(.brand, 3))
        say("Prices:", profile.strongest(.price, 2))
        say("Titles often say", profile.strongest(.word, 6, least: 2).map { "“\($0)”" })
        say("Rising:", profile.rising(4))
        say("Fading:", profile.fading(4))
        say("Turned away from", profile.refused(4))
        say("Typical:", anchors.prefix(3).map { OneLine.of($0, bytesMax: 80) })
        return sentences.joined(separator: " ")
    }

    /// How well an item stands for the profile: the sum of its traits' strengths.
    public func fit(_ traits: ItemTraits, to body: [UInt8]) -> Int {
        let profile = profile(body)
        var strengths: [UInt64: Int] = [:]
        for trait in profile.traits { strengths[trait.key] = trait.strength }
        return traits.all.reduce(0) { $0 + (strengths[$1.key] ?? 0) }
    }

    private static func enumeration(_ names: [String]) -> String {
        guard names.count > 1 else { return names.first ?? "" }
        return names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
    }
}

extension InterestProfile {
    /// Strongest first; equals in the order of their names.
    private func ranked(_ isIn: (Trait) -> Bool, by strength: (Trait) -> Int) -> [Trait] {
        traits.filter(isIn).sorted {
            let (left, right) = (strength($0), strength($1))
            return left == right
                ? name($0).utf8.lexicographicallyPrecedes(name($1).utf8) : left > right
        }
    }

    /// Names of a kind; `least` is the sum of weights below which a trait says nothing.
    func strongest(_ kind: Trait.Kind, _ count: Int, least: Int = 1) -> [String] {
        ranked(
            { $0.kind == kind && $0.strength > 0 && $0.recent + $0.past >= least },
            by: \.strength
        ).prefix(count).map { name($0) }
    }

    func refused(_ count: Int) -> [String] {
        ranked({ $0.strength < 0 && Self.isNamed($0.kind) }, by: { -$0.strength })
            .prefix(count).map { name($0) }
    }

    /// Twice as often a block in the last two spans as before them.
    func rising(_ count: Int) -> [String] {
        let blocks = blocks
        guard blocks.past > 0 else { return [] }
        return ranked(
            {
                Self.isNamed($0.kind) && $0.recent > 2
                    && $0.recent * blocks.past >= 2 * $0.past * blocks.recent
            }, by: \.recent
        ).prefix(count).map { name($0) }
    }

    /// Half as often a block in the last two spans as before them.
    func fading(_ count: Int) -> [String] {
        let blocks = blocks
        guard blocks.past > 0 else { return [] }
        return ranked(
            {
                Self.isNamed($0.kind) && $0.past > 2 && $0.recent >= 0 && $0.strength > 0
                    && 2 * $0.recent * blocks.past <= $0.past * blocks.recent
            }, by: \.past
        ).prefix(count).map { name($0) }
    }

    /// Blocks in the last two spans, the newest of which may not be full, and in those before.
    private var blocks: (recent: Int, past: Int) {
        guard span >= 2 else { return (recent: 1, past: 0) }
        let inNewest = Int((blockCount - 1) % Self.blocksPerSpan) + 1
        let past = Int(min(span - 1, UInt64(Self.spanCount - 2))) * Int(Self.blocksPerSpan)
        return (recent: inNewest + Int(Self.blocksPerSpan), past: past)
    }

    private static func isNamed(_ kind: Trait.Kind) -> Bool {
        kind == .category || kind == .brand
    }
}
