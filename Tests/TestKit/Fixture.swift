// Golden files, found from where this file was compiled.

public import Foundation

/// The bytes of a file of Tests/Fixtures.
public func fixture(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: fixtures.appending(path: path)))
}

/// The folder Tests/Fixtures.
public let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../Fixtures").standardizedFileURL
