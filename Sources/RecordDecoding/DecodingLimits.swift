// What a decoder accepts at most, in one place.

public import Interactions

/// Bounds on records; beyond them a record is rejected by name.
public struct DecodingLimits: Sendable, Hashable {
    public var interactionBytesMax = 64 * 1_024
    public var itemBytesMax = 1_024 * 1_024
    /// How far clocks of producers may run ahead: an event later than its record is moved back to the record's
    /// time, a record later than our clock is rejected.
    public var futureTolerance: Milliseconds = 5 * 60 * 1_000
    /// Earlier times are rejected. Every time given in seconds by mistake lies before the default, 1980-01-01.
    public var timeMin: Milliseconds = 315_532_800_000

    /// The end of the year 9999.
    public static let timeMax: Milliseconds = 253_402_300_799_999
    /// How deep a payload may be nested.
    public static let depthMax = 32

    public init() {}
}
