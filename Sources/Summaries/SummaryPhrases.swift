// Which parts of a summary speak of an item, whoever wrote it: what an explanation shows of it.

public enum SummaryPhrases {
    /// Letters of a title's word below which it says nothing.
    private static let wordMin = 4

    /// Sentences of `text` that contain one of `labels`, or a longer word of `title`, as whole words; in their order,
    /// each once. Letters are compared without case.
    public static func of(_ text: String, naming labels: [String], title: String) -> [String] {
        let wanted =
            labels.map(words) + words(title).filter { $0.utf8.count >= wordMin }.map { [$0] }
        var found: [String] = []
        for sentence in sentences(text) where !found.contains(sentence) {
            let words = words(sentence)
            if wanted.contains(where: { !$0.isEmpty && words.containsRun($0) }) {
                found.append(sentence)
            }
        }
        return found
    }

    /// Cut behind full stops that end a word, and at lines.
    private static func sentences(_ text: String) -> [String] {
        var sentences: [String] = []
        var current = ""
        func close() {
            let trimmed = current.drop { $0.isWhitespace }
            if !trimmed.isEmpty { sentences.append(String(trimmed)) }
            current = ""
        }
        for character in text {
            if character.isNewline || (character == " " && current.last == ".") {
                close()
            } else {
                current.append(character)
            }
        }
        close()
        return sentences
    }

    private static func words(_ text: String) -> [String] {
        text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }
}

extension Array where Element: Equatable {
    fileprivate func containsRun(_ run: [Element]) -> Bool {
        guard run.count <= count else { return false }
        return (0...(count - run.count)).contains { self[$0..<($0 + run.count)].elementsEqual(run) }
    }
}
