// What is wrong with a settings file: where, what, what would be right. All problems are found before any is told.

import Yams

/// One fault of a settings file.
public struct SettingsProblem: Sendable, Hashable, Encodable, CustomStringConvertible {
    public var file: String
    /// From 1; 0 when the fault has no place in the file.
    public var line: Int
    public var column: Int
    /// `kafka.topics.items`; empty when the file as a whole is meant.
    public var key: String
    public var what: String
    public var allowed: String?
    public var suggestion: String?

    /// A fault that only the reader of the settings can find, without a place in the file.
    public init(file: String, key: String, what: String) {
        self.init(file: file, line: 0, column: 0, key: key, what: what)
    }

    init(
        file: String, line: Int, column: Int, key: String, what: String, allowed: String? = nil,
        suggestion: String? = nil
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        self.what = what
        self.allowed = allowed
        self.suggestion = suggestion
    }

    public var description: String {
        var text = file
        if line > 0 { text += ":\(line):\(column)" }
        text += ": "
        if !key.isEmpty { text += "\(key): " }
        text += what
        if let allowed { text += "; allowed: \(allowed)" }
        if let suggestion { text += "; did you mean \"\(suggestion)\"?" }
        return text
    }
}

/// Every fault that was found, in the order of the file.
public struct SettingsError: Error, Sendable, CustomStringConvertible {
    public var problems: [SettingsProblem]

    public init(problems: [SettingsProblem]) { self.problems = problems }

    public var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}

/// Collects problems while a file is read.
struct Findings {
    /// More than this are counted, not told: beyond it the file is something else altogether.
    static let problemsMax = 100

    let file: String
    private(set) var problems: [SettingsProblem] = []
    private(set) var untold = 0
    /// Where each key that the file holds has its value.
    var marks: [String: Mark] = [:]

    init(file: String) { self.file = file }

    mutating func add(
        _ mark: Mark?, _ key: String, _ what: String, allowed: String? = nil,
        suggestion: String? = nil
    ) {
        guard problems.count < Self.problemsMax else {
            untold += 1
            return
        }
        problems.append(
            SettingsProblem(
                file: file, line: mark?.line ?? 0, column: mark?.column ?? 0, key: key, what: what,
                allowed: allowed, suggestion: suggestion))
    }

    /// A fault of two keys together, told at the first of them that the file holds.
    mutating func add(keys: [String], _ what: String) {
        let place = keys.first { marks[$0] != nil } ?? keys[0]
        add(marks[place], place, what)
    }

    /// Throws everything found, or returns when that is nothing.
    func check() throws(SettingsError) {
        guard !problems.isEmpty else { return }
        var all = problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        if untold > 0 {
            all.append(
                SettingsProblem(
                    file: file, line: 0, column: 0, key: "", what: "and \(untold) more problems"))
        }
        throw SettingsError(problems: all)
    }
}
