// The desk as `MODEL.*` sees it.

import Ports
import Settings
import Synchronization

extension RefreshDesk: ModelService {
    /// Decisions in a listing, of the ledger's.
    private static let decisionsMax = 100

    nonisolated var modelInfo: [InfoSection] { [shown.withLock { $0.section }] }

    nonisolated func models(reply: @escaping Reply<ModelListing>) {
        answer(reply) { desk in
            let store = try desk.opened()
            let current = store.current?.version
            let pinned = store.pinned
            let versions = [AdapterStore.base] + store.versions
            return ModelListing(
                versions: versions.map {
                    ModelListing.Version(
                        version: $0, serves: $0 == current ?? AdapterStore.base,
                        isPinned: $0 == pinned)
                },
                decisions: try store.ledger().suffix(Self.decisionsMax).reversed().map {
                    ModelListing.Decision(
                        time: $0.at, decision: $0.decision, version: $0.version, reason: $0.reason)
                })
        }
    }

    nonisolated func refreshModel(reply: @escaping Reply<Void>) {
        answer(reply) { desk in
            let store = try desk.opened()
            guard !desk.isRefreshing else { throw CommandFailure("a refresh is under way") }
            if let pinned = store.pinned {
                throw CommandFailure("version \(pinned) is pinned: MODEL.UNPIN lets it go")
            }
            desk.begin("command", store)
        }
    }

    nonisolated func rollBackModel(to version: String?, reply: @escaping Reply<String>) {
        answer(reply) { desk in
            let serving =
                try desk.opened().rollBack(to: version, reason: "command") ?? AdapterStore.base
            await desk.load()
            return serving
        }
    }

    nonisolated func pinModel(_ version: String, reply: @escaping Reply<String>) {
        answer(reply) { desk in
            try desk.opened().pin(version)
            await desk.load()
            return version
        }
    }

    nonisolated func unpinModel(reply: @escaping Reply<Void>) {
        answer(reply) { desk in
            try desk.opened().unpin()
            desk.show()
        }
    }

    private func opened() throws -> AdapterStore {
        guard model.folder != nil, model.adapters != nil else {
            throw PortError(.refused, "there are no versions: set model.folder and model.adapters")
        }
        guard let store else { throw PortError(.unavailable, "the model is being loaded") }
        return store
    }

    private nonisolated func answer<Value: Sendable>(
        _ reply: @escaping Reply<Value>,
        _ body: @escaping @Sendable (isolated RefreshDesk) async throws -> Value
    ) {
        Task {
            do {
                reply(.success(try await body(self)))
            } catch let error as PortError {
                reply(.failure(error))
            } catch {
                reply(.failure(PortError(.refused, "\(error)")))
            }
        }
    }
}
