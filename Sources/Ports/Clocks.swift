// Time as a value that is handed in: the core never reads a clock.

public import Interactions

public protocol Clock: Sendable {
    /// Wall time in milliseconds since 1970.
    var wallMilliseconds: Milliseconds { get }
    /// Seconds since some fixed moment; never runs backwards.
    var monotonicSeconds: Double { get }
}
