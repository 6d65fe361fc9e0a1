// Lists go to the ranker and come back to the engine's lane.

import Summaries

extension Pipeline {
    func rank(_ job: RankingJob) {
        ranker?.rank(job.requests) { [self] result in
            perform { $0.ranked(job.id, result) }
        }
    }
}
