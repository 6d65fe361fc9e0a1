// What must come out: one thread, one pass, no cache, no store. Slow and plain on purpose.

public import Interactions
public import Ports
public import Recommender
public import Teachers

/// The state after folding whole logs, one event at a time.
public struct ReferenceFold {
    public private(set) var users: [UserID: UserState] = [:]
    public private(set) var statistics: Statistics

    public init(logs: [[RecordBatch.Entry]], configuration: EngineConfiguration) {
        statistics = Statistics(halfLivesSeconds: configuration.halfLivesSeconds)
        for log in logs {
            for record in log {
                var state = users[record.entry.user] ?? UserState()
                var ignored = StatisticsEditsWriter()
                switch record.entry {
                case .forget: state = UserState()
                case .interaction(let event):
                    _ = configuration.history.append(event, to: &state, edits: &ignored)
                }
                users[record.entry.user] = state.isEmpty ? nil : state
            }
        }
        var edits = StatisticsEditsWriter()
        for state in users.values { configuration.history.addAll(state, edits: &edits) }
        let bytes = edits.finish(nextOffset: nil, fingerprint: 0)
        do { try statistics.apply(bytes) } catch { preconditionFailure("\(error)") }
    }

    /// Stored blobs of these users.
    public func blobs(of members: some Sequence<UserID>) -> [UserID: [UInt8]] {
        var found: [UserID: [UInt8]] = [:]
        for user in members { found[user] = users[user]?.encoded() }
        return found
    }
}
