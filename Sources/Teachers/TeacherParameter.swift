// Numbers a teacher can be tuned by, by name: for settings, for `millrace eval --teacher ease:decay=0.5`, and for
// refusing a stored model that was solved with others.

import Interactions

/// One number of a teacher of type `Model`.
public struct TeacherParameter<Model>: Sendable {
    public let name: String
    /// Values outside are refused.
    public let bounds: ClosedRange<Double>
    /// Whether the item side depends on it; others take effect at once.
    public let shapesModel: Bool
    let read: @Sendable (Model) -> Double
    let write: @Sendable (inout Model, Double) -> Void

    public init(
        _ name: String, _ bounds: ClosedRange<Double>, shapesModel: Bool = false,
        read: @escaping @Sendable (Model) -> Double,
        write: @escaping @Sendable (inout Model, Double) -> Void
    ) {
        self.name = name
        self.bounds = bounds
        self.shapesModel = shapesModel
        self.read = read
        self.write = write
    }
}

public struct ParameterFault: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    public init(description: String) { self.description = description }
}

extension Teacher {
    public static var parameters: [TeacherParameter<Self>] { [] }

    /// Every parameter with its value, as in `decay 0.7, shrink 5.0`.
    public var parameterText: String {
        Self.parameters.map { "\($0.name) \($0.read(self))" }.joined(separator: ", ")
    }

    /// Sets one parameter by name.
    public mutating func set(_ name: String, to value: Double) throws(ParameterFault) {
        guard let parameter = Self.parameters.first(where: { $0.name == name }) else {
            let names = Self.parameters.map(\.name).joined(separator: ", ")
            throw ParameterFault(
                description: "\(Self.name) has no parameter '\(name)'; it has: \(names)")
        }
        guard parameter.bounds.contains(value) else {
            throw ParameterFault(
                description: "\(Self.name): \(name) \(value) is not in "
                    + "\(parameter.bounds.lowerBound)...\(parameter.bounds.upperBound)")
        }
        parameter.write(&self, value)
    }

    /// The beginning of every stored model: format, name, version, and the parameters it was solved with.
    func encodeHeader(into out: inout ByteWriter) {
        out.byte(1)
        let name = Array(Self.name.utf8)
        out.varint(UInt64(name.count))
        out.append(name)
        out.varint(version)
        for parameter in Self.parameters where parameter.shapesModel {
            out.word64(parameter.read(self).bitPattern)
        }
    }

    /// Checks what `encodeHeader` wrote; returns the version.
    func readHeader(from reader: inout ByteReader) throws(MalformedBytes) -> UInt64 {
        guard try reader.byte() == 1 else {
            throw MalformedBytes("the model has another format: upgrade first")
        }
        let count = try reader.count(max: 64)
        guard try reader.array(count: count) == Array(Self.name.utf8) else {
            throw MalformedBytes("the model is not one of \(Self.name)")
        }
        let version = try reader.varint()
        for parameter in Self.parameters where parameter.shapesModel {
            let value = Double(bitPattern: try reader.word64())
            guard value == parameter.read(self) else {
                throw MalformedBytes(
                    "the model was solved with \(parameter.name) \(value), "
                        + "not \(parameter.read(self)): it must be solved again")
            }
        }
        return version
    }
}

extension ByteWriter {
    /// Little-endian single precision, 4 bytes each.
    mutating func floats(_ values: [Float]) {
        var at = 0
        while at + 1 < values.count {
            word64(UInt64(values[at].bitPattern) | UInt64(values[at + 1].bitPattern) << 32)
            at += 2
        }
        if at < values.count { word32(values[at].bitPattern) }
    }

    mutating func word32(_ value: UInt32) {
        for shift: UInt32 in [0, 8, 16, 24] { byte(UInt8(truncatingIfNeeded: value >> shift)) }
    }
}

extension ByteReader {
    mutating func word32() throws(MalformedBytes) -> UInt32 {
        var value: UInt32 = 0
        for shift: UInt32 in [0, 8, 16, 24] { value |= UInt32(try byte()) << shift }
        return value
    }

    /// Single precision numbers, all of which must be finite.
    mutating func floats(_ count: Int) throws(MalformedBytes) -> [Float] {
        guard count >= 0, count <= remaining / 4 else { throw MalformedBytes("ends too early") }
        var values: [Float] = []
        values.reserveCapacity(count)
        while values.count < count {
            let value = Float(bitPattern: try word32())
            guard value.isFinite else { throw MalformedBytes("a number is not finite") }
            values.append(value)
        }
        return values
    }
}
