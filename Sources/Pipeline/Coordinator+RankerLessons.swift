// What the ranker's odds are worth, learnt beside the stream: now and then it is asked about a list whose item has just
// come, as it would have been asked a moment before. Nothing waits for the answer: not the fold, not a fit, not a list.
// One list is asked about at a time, and no more of the ranker's time is taken than the share that the settings give.

import Combiner
import Interactions
import Ports
import Recommender
import Summaries
import Teachers

/// Lists that the ranker is asked about to learn from.
struct RankerLessons {
    struct Lesson {
        var id: UInt64
        var list: RankableList
        /// By the stopwatch.
        var askedAt: Double
    }

    /// A user just before an event that the combiner learns from, until it has made its list.
    var remembered: (event: Interaction, state: UserState)?
    var asked: Lesson?
    /// No further list before; by the stopwatch.
    var restsUntil = -Double.infinity
    var learnt: UInt64 = 0
    var failed: UInt64 = 0
    var late: UInt64 = 0
    /// Lists that could have taught, and were not asked about for lack of time.
    var skipped: UInt64 = 0

    /// An answer that takes longer is not waited for.
    static let timeoutMilliseconds = 60_000.0

    /// The ranker rests for as long as makes the share of its work what it may be.
    mutating func rest(after lesson: Lesson, at moment: Double, share: Double) {
        restsUntil = moment + (moment - lesson.askedAt) * (1 - share) / share
    }
}

/// Log-odds of a probability; one that is a whole 0 or 1 in single precision is taken for nearly so.
func logOdds(_ probability: Double) -> Double {
    let p = min(max(probability, 1e-6), 1 - 1e-6)
    return naturalLog(p) - naturalLog(1 - p)
}

extension Coordinator {
    private static func key(of ranking: RankingConfiguration) -> UInt64 {
        xxh64(Array(ranking.ranker.version.utf8))
    }

    /// Whether lists have been better for this ranker's odds.
    func servesRanker(_ ranking: RankingConfiguration) -> Bool {
        engine.rankerStage?.serves(Self.key(of: ranking)) ?? false
    }

    /// Keeps the user of an event that the combiner will learn from, when the ranker may be asked about its list.
    func rememberForRanker(_ record: RecordBatch.Entry, given state: UserState) {
        guard let ranking = configuration.ranking, ranking.learnShare > 0,
            rankings.lessons.remembered == nil, engine.isMixing,
            case .interaction(let event) = record.entry,
            engine.isToTeach(event, at: record.offset)
        else { return }
        // Whoever waits for a list goes first.
        guard rankings.lessons.asked == nil, rankings.waiting.isEmpty,
            moment >= rankings.lessons.restsUntil
        else {
            rankings.lessons.skipped += 1
            return
        }
        rankings.lessons.remembered = (event, state)
    }

    /// The combiner has made a list and is about to learn from it.
    func askRanker(_ observed: ObservedEvent, _ list: CandidateList) {
        guard let ranking = configuration.ranking,
            let (event, state) = rankings.lessons.remembered,
            event.user.key == observed.user.key, event.item.key == observed.item,
            event.time == observed.time
        else { return }
        rankings.lessons.remembered = nil
        guard
            let best = engine.rankable(
                list, outcome: observed.item, count: ranking.candidatesMax)
        else { return }
        let id = rankings.newID()
        rankings.lessons.asked = .init(id: id, list: best, askedAt: moment)
        act(
            .rank(
                RankingJob(
                    id: id, requests: questions(best.items, state, session: [], ranking))))
    }

    /// The ranker's answer to what it was asked to learn from, or one that nobody waits for any more.
    func taught(_ id: UInt64, _ result: Result<[Double], RankingFailure>) {
        guard let ranking = configuration.ranking, let lesson = rankings.lessons.asked,
            lesson.id == id
        else { return }
        rankings.lessons.asked = nil
        rankings.lessons.rest(after: lesson, at: moment, share: ranking.learnShare)
        switch result {
        case .success(let probabilities) where probabilities.count == lesson.list.items.count:
            rankings.lessons.learnt += 1
            let hasChanged = engine.learn(
                lesson.list, odds: probabilities.map(logOdds), ranker: Self.key(of: ranking))
            if hasChanged { versions.raiseAll() }
        case .failure, .success: rankings.lessons.failed += 1
        }
    }

    func tendLesson() {
        guard let ranking = configuration.ranking, let lesson = rankings.lessons.asked else {
            return
        }
        let now = moment
        guard now - lesson.askedAt >= RankerLessons.timeoutMilliseconds else { return }
        rankings.lessons.asked = nil
        rankings.lessons.late += 1
        rankings.lessons.rest(after: lesson, at: now, share: ranking.learnShare)
    }

    var lessonNumbers: [(name: String, value: UInt64)] {
        let lessons = rankings.lessons
        return [
            ("ranking_lessons", lessons.learnt), ("ranking_lessons_failed", lessons.failed),
            ("ranking_lessons_late", lessons.late), ("ranking_lessons_skipped", lessons.skipped),
        ]
    }

    var rankerGauges: [(String, Double)] {
        guard configuration.ranking != nil, let stage = engine.rankerStage else { return [] }
        return [
            ("mixture_trsr_gain", stage.ranked.gain),
            ("mixture_trsr_gain_without", stage.plain.gain),
            ("mixture_trsr_gain_alone", stage.alone.gain),
            ("mixture_trsr_weight", Double(stage.oddsWeight)),
        ]
    }

    var rankerInfo: [InfoLine] {
        guard let ranking = configuration.ranking, let stage = engine.rankerStage else { return [] }
        func rounded(_ value: Double) -> Double { (value * 1e5).rounded() / 1e5 }
        return [
            InfoLine(
                "mixture_trsr",
                "serves=\(servesRanker(ranking) ? 1 : 0),weight=\(rounded(Double(stage.oddsWeight))),"
                    + "gain=\(rounded(stage.ranked.gain)),without=\(rounded(stage.plain.gain)),"
                    + "alone=\(rounded(stage.alone.gain)),lists=\(stage.ranked.listCount)")
        ]
    }
}
