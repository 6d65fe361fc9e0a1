// How explanations look on the wire: maps with fixed words; what is empty for this item and request is left out.

import Interactions
import Ports
import WireProtocol

enum ExplanationText {
    static func write(_ explanation: Explanation, of item: ItemID, to writer: inout ReplyWriter) {
        let optional = [
            explanation.filter != nil, !explanation.boosts.isEmpty, !explanation.effects.isEmpty,
            !explanation.phrases.isEmpty, explanation.mixture != nil, explanation.past != nil,
            explanation.summary != nil,
        ]
        writer.map(9 + optional.count { $0 })
        writer.field("item", item.text)
        writer.field("rank", explanation.rank)
        writer.field("place", explanation.place)
        writer.field("score", explanation.score)
        writer.field("removed_by", explanation.removedBy)
        if let filter = explanation.filter { writer.field("filter", filter) }
        writer.field("lost_at", explanation.lostAt?.rawValue)
        writer.bulk("sources")
        writer.map(explanation.sources.count)
        for source in explanation.sources {
            writer.bulk(source.name)
            writer.double(source.amount)
        }
        if !explanation.boosts.isEmpty { write(explanation.boosts, as: "boosts", to: &writer) }
        write(explanation.evidence, as: "evidence", to: &writer)
        if !explanation.effects.isEmpty { write(explanation.effects, to: &writer) }
        if !explanation.phrases.isEmpty { writer.field("phrases", explanation.phrases) }
        if let summary = explanation.summary {
            writer.bulk("summary")
            writer.map(2)
            writer.field("version", String(summary.version, radix: 16))
            writer.field("blocks", summary.blockCount)
        }
        if let mixture = explanation.mixture { write(mixture, to: &writer) }
        if let past = explanation.past { write(past, to: &writer) }
        writer.bulk("asof")
        ListText.write(explanation.asOf, rung: nil, to: &writer)
    }

    /// An array of pairs.
    private static func write(
        _ shares: [Explanation.Share], as name: String, to writer: inout ReplyWriter
    ) {
        writer.bulk(name)
        writer.array(shares.count)
        for share in shares {
            writer.array(2)
            writer.bulk(share.name)
            writer.double(share.amount)
        }
    }

    /// An array of item, what the score loses without the event, and the rank without it.
    private static func write(_ effects: [Explanation.Effect], to writer: inout ReplyWriter) {
        writer.bulk("events")
        writer.array(effects.count)
        for effect in effects {
            writer.array(3)
            writer.bulk(effect.item)
            writer.double(effect.score)
            if let rank = effect.rank { writer.integer(rank) } else { writer.null() }
        }
    }

    private static func write(_ mixture: MixtureExplanation, to writer: inout ReplyWriter) {
        writer.bulk("mixture")
        writer.map(7)
        writer.field("rung", mixture.rung)
        writer.field("weights", mixture.weightsVersion)
        writer.field("candidates", mixture.candidateCount)
        writer.field("proposed_by", mixture.proposedBy)
        writer.field("first_stage", mixture.firstStage)
        writer.field("second_stage", mixture.correction)
        writer.bulk("features")
        writer.array(mixture.features.count)
        for feature in mixture.features {
            writer.array(4)
            writer.bulk(feature.name)
            writer.double(feature.value)
            writer.double(feature.weight)
            writer.double(feature.contribution)
        }
    }

    private static func write(_ past: PastPlace, to writer: inout ReplyWriter) {
        writer.bulk("then")
        writer.map(past.features.isEmpty ? 6 : 7)
        writer.field("place", past.place)
        writer.field("score", past.score)
        writer.field("source", past.source)
        writer.field("probability", past.propensity)
        writer.field("weights", past.weightsVersion)
        if !past.features.isEmpty { write(past.features, as: "features", to: &writer) }
        writer.bulk("asof")
        ListText.write(past.asOf, rung: past.rung, model: past.model, to: &writer)
    }
}
