// The repository as its own tests see it: the files that are tracked, and what they say.

import Foundation
import TestKit
import Testing

/// One tracked file.
struct RepositoryFile: Sendable, CustomTestStringConvertible {
    /// From the top of the repository.
    let path: String

    var text: String {
        get throws {
            let data = try Data(contentsOf: Repository.root.appending(path: path))
            return String(decoding: data, as: UTF8.self)
        }
    }

    var lines: [Substring] {
        get throws { try text.split(separator: "\n", omittingEmptySubsequences: false) }
    }

    var isSwift: Bool { path.hasSuffix(".swift") }

    /// `KafkaIngest` for `Sources/KafkaIngest/RDKafka/KafkaQueue.swift`.
    var module: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

    func isIn(_ folder: String) -> Bool { path.hasPrefix(folder + "/") }

    var testDescription: String { path }
}

enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../..").standardizedFileURL

    /// Every file but what is built or belongs to the version control.
    static let files: [RepositoryFile] = {
        let walk = FileManager.default.enumerator(
            at: root, includingPropertiesForKeys: [.isRegularFileKey])
        var paths: [String] = []
        for case let url as URL in walk ?? .init() {
            let path = String(url.standardizedFileURL.path.dropFirst(root.path.count))
                .trimmingPrefix("/")
            if [".git", ".build"].contains(path) || path.hasPrefix(".build-") {
                walk?.skipDescendants()
            } else if path != "Package.resolved",
                (try? url.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true
            {
                paths.append(String(path))
            }
        }
        return paths.sorted().map(RepositoryFile.init)
    }()

    static let sources = files.filter { $0.isSwift && $0.isIn("Sources") }
    static let swift = files.filter(\.isSwift)
    static let documents = files.filter { $0.path.hasSuffix(".md") }

    static func file(_ path: String) -> RepositoryFile { RepositoryFile(path: path) }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }
}
