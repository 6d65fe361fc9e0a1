import Summaries
import TestKit
import Testing

@Test("Config/prompts holds the built-in prompts, byte for byte")
func promptFiles() throws {
    let prompts = SummaryPrompts.standard
    let ranking = RankingPrompts.standard
    for (name, text) in [
        ("instruction", prompts.instruction), ("first", prompts.first), ("next", prompts.next),
        ("merge", prompts.merge),
        ("rank-instruction", ranking.instruction), ("rank-question", ranking.question),
    ] {
        #expect(try Repository.file("Config/prompts/\(name).txt").text == text, "\(name)")
    }
}
