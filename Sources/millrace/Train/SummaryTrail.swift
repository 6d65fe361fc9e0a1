// A user's summary while a log goes by: what the daemon would have stored after each event, so that a case of a
// training or a test has the summary that was possible at its time, and never a later one.

import Interactions
import ItemModel
import Summaries

struct SummaryTrail {
    private var body: [UInt8] = []
    private var open: [TemplateSummariser.Event] = []
    private var blocks: UInt64 = 0
    /// Empty before the first block, and where there is nothing to say.
    private(set) var text = ""
    /// Whole blocks that are left open before they are folded.
    private let blocksAtOnce: Int

    static let template = TemplateSummariser()
    private static let blockSize = BlockRules().blockSize

    /// `blocksAtOnce` is 1 where every whole block counts, as in `SUMMARY.GET`; what is stored, hence what the
    /// item-aware model reads, is behind.
    init(blocksAtOnce: Int = TemplateSummariser.blocksAtOnce) {
        self.blocksAtOnce = blocksAtOnce
    }

    mutating func note(_ traits: ItemTraits?, weight: Int) {
        open.append(.init(traits: traits, weight: weight))
        guard open.count >= Self.blockSize * blocksAtOnce else { return }
        while open.count >= Self.blockSize {
            body = Self.template.body(
                after: body, block: blocks, Array(open.prefix(Self.blockSize)))
            open.removeFirst(Self.blockSize)
            blocks += 1
        }
        text = body.isEmpty ? "" : Self.template.text(of: body)
    }

    /// After some items that count alike, where every whole block counts: the rows of a fixed split are too short for
    /// several.
    static func text(_ items: some Sequence<ItemTraits?>) -> String {
        var trail = SummaryTrail(blocksAtOnce: 1)
        for traits in items { trail.note(traits, weight: 1) }
        return trail.text
    }

}

extension ItemModelShape {
    /// Whether the model reads the texts that a trail tells.
    var readsTrail: Bool { summaries?.summariserVersion == SummaryTrail.template.version }
}

extension ItemTraits {
    init(_ record: ItemRecord) {
        self.init(
            title: record.title, brand: record.brand, categories: record.categories,
            price: record.price)
    }
}
