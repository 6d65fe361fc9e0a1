// A value that is only ever touched on one lane: a checked escape hatch, in the manner of NIOLoopBound.

/// Carries a value that is not Sendable; opening it elsewhere than on its lane traps.
public struct LaneBound<Value>: @unchecked Sendable {
    // Unchecked because every access is checked at run time instead.
    private let bound: Value
    private let lane: Lane

    public init(_ value: Value, on lane: Lane) {
        bound = value
        self.lane = lane
    }

    public var value: Value {
        lane.checkIsolated()
        return bound
    }
}
