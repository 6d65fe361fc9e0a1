import Summaries
import TestKit
import Testing

@Test("Config/prompts holds the built-in prompts, byte for byte")
func promptFiles() throws {
    let prompts = SummaryPrompts.standard
    for (name, text) in [
        ("instruction", prompts.instruction), ("first", prompts.first), ("next", prompts.next),
    ] {
        #expect(try Repository.file("Config/prompts/\(name).txt").text == text, "\(name)")
    }
}
