// The stored histories as a training set: all partitions', whoever owns them, page by page beside serving.

public import Interactions
import Lanes
public import Ports
import Teachers

/// The positive part of a user's history, oldest first.
public struct UserHistory: Sendable {
    public var user: UserID
    public var events: [(item: ItemKey, seconds: UInt32)]

    public init(user: UserID, events: [(item: ItemKey, seconds: UInt32)]) {
        self.user = user
        self.events = events
    }
}

extension Pipeline {
    /// The catalogue, on the engine's lane.
    public func catalogueItems(_ reply: @escaping @Sendable ([ItemRecord]) -> Void) {
        perform { reply($0.catalogueItems()) }
    }

    /// Hands over every stored history; a user may come twice. `page` says whether to go on. Both are called on the
    /// lane of models, and the next page is asked for when one is taken.
    public func readHistories(
        page: @escaping @Sendable ([UserHistory]) -> Bool,
        done: @escaping @Sendable (Result<Void, PortError>) -> Void
    ) {
        perform { [self] coordinator in
            let count = coordinator.partitionCount
            guard count > 0 else {
                return done(.failure(PortError(.unavailable, "the log is not known yet")))
            }
            readHistories(of: 0, cursor: 0, partitions: count, page: page, done: done)
        }
    }

    private func readHistories(
        of partition: PartitionIndex, cursor: UInt64, partitions: Int32,
        page: @escaping @Sendable ([UserHistory]) -> Bool,
        done: @escaping @Sendable (Result<Void, PortError>) -> Void
    ) {
        store.scanUsers(of: partition, cursor: cursor) { [self] result in
            models.lane.run { [self] in
                switch result {
                case .failure(let error): done(.failure(error))
                case .success(let found):
                    guard page(found.users.compactMap(positiveHistory)) else {
                        return done(.success(()))
                    }
                    let next = found.nextCursor.map { (partition, $0) } ?? (partition + 1, 0)
                    guard next.0 < partitions else { return done(.success(())) }
                    readHistories(
                        of: next.0, cursor: next.1, partitions: partitions, page: page, done: done)
                }
            }
        }
    }

    /// Nil for a blob that cannot be read: whoever owns the user says so.
    private func positiveHistory(_ row: (user: UserID, blob: [UInt8])) -> UserHistory? {
        guard let state = try? UserState(decoding: row.blob) else { return nil }
        return UserHistory(
            user: row.user,
            events: state.history.compactMap { entry in
                history.types.weight(of: entry.type) > 0 ? (entry.item, entry.seconds) : nil
            })
    }
}
