// What keeps reads or writes from working, in words, told once whenever it changes.

import Ports
import Synchronization

final class HealthBoard: Sendable {
    private struct State {
        var health = StoreHealth()
        var told = StoreHealth()
        var observer: (@Sendable (StoreHealth) -> Void)?
    }

    private let state = Mutex(State())

    var health: StoreHealth { state.withLock { $0.health } }

    func observe(_ observer: @escaping @Sendable (StoreHealth) -> Void) {
        state.withLock { $0.observer = observer }
    }

    /// Called on a lane. The observer runs under the lock, so that two lanes cannot tell their news in the wrong
    /// order.
    func update(_ change: (inout StoreHealth) -> Void) {
        state.withLock { state in
            change(&state.health)
            guard let observer = state.observer, state.told != state.health else { return }
            state.told = state.health
            observer(state.health)
        }
    }
}
