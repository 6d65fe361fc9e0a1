// Which sentences of a summary an explanation quotes.

import Summaries
import Testing

@Suite("Phrases of summaries")
struct PhraseTests {
    private static let text =
        "Mostly Board games, tea and Garden. Brands: Lux.\nTitles often say “wooden”. Rising: tea 2.0 blends."

    @Test("are whole sentences that name a label, or a longer word of the title")
    func named() {
        let named = { SummaryPhrases.of(Self.text, naming: $0, title: $1) }
        #expect(named(["board games"], "") == ["Mostly Board games, tea and Garden."])
        #expect(
            named(["tea"], "")
                == ["Mostly Board games, tea and Garden.", "Rising: tea 2.0 blends."])
        #expect(named(["LUX"], "") == ["Brands: Lux."])
        #expect(named([], "A Wooden box") == ["Titles often say “wooden”."])
        // Parts of words, single words of a label and short words of a title say nothing.
        #expect(named(["gar", "games garden", "lu"], "tea of Lux").isEmpty)
        #expect(
            named([""], "...").isEmpty
                && SummaryPhrases.of("", naming: ["tea"], title: "tea").isEmpty)
    }
}
