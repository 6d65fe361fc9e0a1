// Golden files are accounted for: whose program wrote each, and that nobody has touched it since.

import Evaluation
import Foundation
import TestKit
import Testing

@Suite("golden files")
struct FixtureTests {
    static let folder = "Tests/Fixtures"

    struct Manifest: Decodable {
        struct Entry: Decodable {
            var file: String
            var sha256: String
            var generator: String
        }
        var files: [Entry]
    }

    @Test("the manifest names every golden file, its bytes and its generator")
    func manifest() throws {
        let root = Repository.root.appending(path: Self.folder)
        let manifest = try JSONDecoder().decode(
            Manifest.self, from: Data(contentsOf: root.appending(path: "manifest.json")))
        for entry in manifest.files {
            let bytes = try Data(contentsOf: root.appending(path: entry.file))
            #expect(
                SHA256.digest(Array(bytes)) == entry.sha256,
                "\(entry.file) was changed by hand: run \(entry.generator)")
            #expect(Repository.exists("\(Self.folder)/\(entry.generator)"), "\(entry.file)")
        }
        let known = Set(manifest.files.flatMap { [$0.file, $0.generator] } + ["manifest.json"])
        for file in Repository.files where file.isIn(Self.folder) {
            let name = String(file.path.dropFirst(Self.folder.count + 1))
            #expect(known.contains(name), "\(file.path) is in no line of the manifest")
        }
    }
}
