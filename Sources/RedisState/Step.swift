// One exchange with Redis: which commands to send and what to make of the answers.
//
// A step may be sent more than once (that is what reconnecting means), so whatever it sends must be harmless to
// repeat.

import Ports

struct Step: Sendable {
    /// What a failure that only people can mend does to the step.
    enum Patience: Sendable {
        /// It waits, in its place, for as long as it takes: nothing may be lost.
        case waits
        /// It fails, so that the daemon can refuse to start with the reason.
        case failsWhenRefused
        /// It fails at the first trouble, because it can be done without: nothing waits behind it.
        case failsAtOnce
    }

    var patience = Patience.waits
    /// The life of Redis (its run id) that the step was made for, and what happens instead in any other; nil: any.
    var onlyIn: (incarnation: String, otherwise: @Sendable () -> Void)?
    /// Appends one command or more.
    var encode: @Sendable (inout CommandBuffer) -> Void
    /// Reads the answers (none of them an error) and completes the caller; throws when they are not what they should
    /// be.
    var accept: @Sendable ([Reply]) throws(PortError) -> Void
    var fail: @Sendable (PortError) -> Void
}
