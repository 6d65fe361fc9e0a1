// A user's summary while a log goes by: what the daemon would have stored after each event, so that a case of a training
// or a test has the summary that was possible at its time, and never a later one.

import Interactions
import Summaries

struct SummaryTrail {
    private var body: [UInt8] = []
    private var open: [TemplateSummariser.Event] = []
    private var blocks: UInt64 = 0
    /// Whole blocks that are left open before they are folded.
    private let blocksAtOnce: Int

    static let template = TemplateSummariser()
    private static let blockSize = BlockRules().blockSize

    /// `blocksAtOnce` is 1 where every whole block counts, as in `SUMMARY.GET`; what is stored, hence what the item-aware
    /// model reads, is behind.
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
    }

    /// Empty before the first block, and where there is nothing to say.
    var text: String { body.isEmpty ? "" : Self.template.text(of: body) }
}

extension ItemTraits {
    init(_ record: ItemRecord) {
        self.init(
            title: record.title, brand: record.brand, categories: record.categories,
            price: record.price)
    }
}
