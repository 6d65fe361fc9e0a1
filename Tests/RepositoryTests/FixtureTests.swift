// Golden files are what their generators wrote: nobody mends one by hand.

import Evaluation
import Foundation
import TestKit
import Testing

@Suite("golden files")
struct FixtureTests {
    private struct Manifest: Decodable {
        struct Entry: Decodable {
            var path: String
            var sha256: String
            var generator: String
        }
        var files: [Entry]
    }

    @Test("golden files are as their manifest says, and their generators are there")
    func manifest() throws {
        let manifest = try JSONDecoder().decode(
            Manifest.self, from: Data(try fixture("manifest.json")))
        for entry in manifest.files {
            #expect(SHA256.digest(try fixture(entry.path)) == entry.sha256, "\(entry.path)")
            #expect(try !fixture(entry.generator).isEmpty)
        }
        let known = Set(
            manifest.files.flatMap { [$0.path, $0.generator] } + ["manifest.json"])
        for file in Repository.files where file.isIn("Tests/Fixtures") {
            let name = String(file.path.dropFirst("Tests/Fixtures/".count))
            #expect(known.contains(name), "\(file.path) is in no line of the manifest")
        }
    }

    @Test("golden files are small")
    func sizes() throws {
        for file in Repository.files where file.isIn("Tests/Fixtures") {
            #expect(try file.text.utf8.count <= 64 << 10, "\(file.path)")
        }
    }
}
