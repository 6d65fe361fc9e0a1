// Sizes that keep every part readable at one go.

import TestKit
import Testing

@Suite("sizes")
struct SizeTests {
    static let fileLinesMax = 600
    static let testFileLinesMax = 900
    /// Above this a file is long; few may be.
    static let longFileLines = 300
    static let longFilesPerHundred = 5
    static let functionLinesMax = 70
    static let lineLengthMax = 120

    @Test("no file is longer than its limit")
    func files() throws {
        for file in Repository.swift {
            let count = try file.lines.count
            let limit = file.isIn("Tests") ? Self.testFileLinesMax : Self.fileLinesMax
            #expect(count <= limit, "\(file.path) has \(count) lines: split it by topic")
        }
    }

    @Test("few files of Sources are long")
    func longFiles() throws {
        let long = try Repository.sources.filter { try $0.lines.count > Self.longFileLines }
        #expect(
            long.count * 100 <= Repository.sources.count * Self.longFilesPerHundred,
            "above \(Self.longFileLines) lines: \(long.map(\.path))")
    }

    @Test("no function of Sources is longer than 70 lines")
    func functions() throws {
        for file in Repository.sources {
            for function in SwiftCode(try file.text).functions {
                #expect(
                    function.lineCount <= Self.functionLinesMax,
                    "\(file.path):\(function.firstLine): \(function.name) has \(function.lineCount) lines"
                )
            }
        }
    }

    @Test("no line is longer than 120 characters")
    func lines() throws {
        for file in Repository.files where file.isSwift || file.isIn("Sources") {
            for (index, line) in try file.lines.enumerated() where line.count > Self.lineLengthMax {
                Issue.record("\(file.path):\(index + 1) has \(line.count) characters")
            }
        }
    }

    @Test("functions are measured through strings, comments and nesting")
    func measuring() {
        let code = SwiftCode(
            ##"""
            protocol P {
                func required(a: Int) -> Int
                init(b: Int)
            }
            struct S: P {
                init(b: Int) { self.init(c: "}\(b + "{".count)") }
                func required(a: Int = { 3 }()) -> Int {
                    // }
                    let text = """
                        } \(a)
                        """
                    /* } /* } */ */
                    return #"\("# .count
                }
                deinit {
                }
            }
            """##)
        #expect(
            code.functions == [
                FunctionExtent(name: "init ", firstLine: 6, lineCount: 1),
                FunctionExtent(name: "func required", firstLine: 7, lineCount: 8),
                FunctionExtent(name: "deinit ", firstLine: 15, lineCount: 2),
            ])
    }
}
