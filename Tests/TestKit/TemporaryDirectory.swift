// A folder of one test's own, gone with the object: tests share nothing and leave nothing.

import Foundation
import Glibc

/// An empty folder that is removed, with all it holds, when the object goes.
public final class TemporaryDirectory: Sendable {
    /// Short on purpose: the path of a Unix socket may have 107 bytes at most.
    public let path: String

    public init() throws {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var template = Array("\(base)/mr-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw TestKitError("mkdtemp under \(base): errno \(errno)")
        }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in the folder.
    public func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// Something a test needs could not be had.
public struct TestKitError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
