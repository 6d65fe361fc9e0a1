// The writer of summaries that the settings name.

import Pipeline
import Settings
import Summaries

extension Assembly {
    /// Nil where no summaries are kept.
    var summaries: SummaryConfiguration? {
        let from = settings.summaries
        let blocks = BlockRules(
            blockSize: from.blockSize, openEventsMax: max(from.openEventsMax, from.blockSize))
        switch from.summariser {
        case .none: return nil
        case .template: return SummaryConfiguration(.template(TemplateSummariser()), blocks: blocks)
        }
    }
}
