// The settings of collaborative models. Names and parameters of teachers are checked by whoever knows the teachers.

public struct TeacherSettings: Sendable, Hashable {
    /// `name` or `name:parameter=number,...`, as `millrace eval --teacher` takes them.
    public var enabled: [String] = []
    public var solveInterval = Duration.seconds(600)
    public var externalInterval = Duration.seconds(10)
    public var cooccurrenceReach = 4_096
    public var historiesBytesMax = 1 << 30
    public var storedBytesMax = 256 << 20

    public init() {}
}

extension SettingKey {
    static let teachers: [SettingKey] = [
        SettingKey(
            "teachers.enabled", \.teachers.enabled,
            .list(
                of: .text("name or name:parameter=number,...") { isTeacher($0) }, 0...16,
                block: true),
            """
            Teachers kept beside popularity and rules, for MODE: item-knn, ease, als, external; with
            parameters ease:lambda=300,decay=0.5 (docs/teachers.md). item-knn and ease count
            co-occurrence: switching that on or off folds all histories again.
            """),
        SettingKey(
            "teachers.solve-interval", \.teachers.solveInterval,
            .duration(.seconds(1) ... .seconds(30 * 86_400)),
            """
            From the end of a solve of ease or als to the next of the same; sooner when the
            statistics have doubled since. The owner of partition 0 solves for all instances.
            """),
        SettingKey(
            "teachers.external-interval", \.teachers.externalInterval,
            .duration(.milliseconds(100) ... .seconds(86_400)),
            "How often a newer publication of external scores is looked for."),
        SettingKey(
            "teachers.cooccurrence-reach", \.teachers.cooccurrenceReach, .integer(1...4_096),
            """
            Positive items of a history within which two count as together, if an enabled teacher
            reads that; never more than engine.history-max. Up to rules.pairs-max pairs, 36 bytes
            each.
            """),
        SettingKey(
            "teachers.histories-max", \.teachers.historiesBytesMax, .size(1 << 20...1 << 40),
            """
            Memory of the histories that als is solved from: 16 bytes an item, 40 a user; beyond it
            the solve is refused.
            """),
        SettingKey(
            "teachers.stored-max", \.teachers.storedBytesMax, .size(0...64 << 30),
            "A larger model is not stored in Redis: it serves, and is solved again after a start."),
    ]

    /// Its shape only.
    private static func isTeacher(_ text: String) -> Bool {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, (1...64).contains(name.utf8.count),
            name.utf8.allSatisfy({ isASCIIWord($0) || $0 == UInt8(ascii: "-") })
        else { return false }
        guard parts.count == 2 else { return true }
        return parts[1].utf8.count <= 1_024
            && parts[1].split(separator: ",", omittingEmptySubsequences: false).allSatisfy {
                let pair = $0.split(separator: "=", omittingEmptySubsequences: false)
                return pair.count == 2 && Double(pair[1]) != nil
            }
    }
}
