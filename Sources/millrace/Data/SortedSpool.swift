// Sorts a log by time that need not fit into memory: sorted runs on disk, merged at the end. Lines of equal time
// keep their order.

import Glibc

final class SortedSpool {
    /// Bytes of lines held before a run is written.
    static let runBytesMax = 256 << 20

    private let folder: String
    private var times: [Int64] = []
    private var ends: [Int] = []
    private var bytes: [UInt8] = []
    private var runs: [String] = []

    init(folder: String) { self.folder = folder }

    deinit { for run in runs { unsafe unlink(run) } }

    func add(time: Int64, line: String) throws {
        bytes.append(contentsOf: line.utf8)
        times.append(time)
        ends.append(bytes.count)
        if bytes.count >= Self.runBytesMax { try writeRun() }
    }

    /// Writes all lines in order of time; the spool is empty afterwards.
    func write(to output: FileWriter) throws {
        guard !runs.isEmpty else {
            for index in order() {
                try output.write(line(index))
                try output.write([0x0A])
            }
            return
        }
        try writeRun()
        var heads: [(time: Int64, line: [UInt8], reader: LineReader)] = []
        for run in runs {
            let reader = try LineReader(run)
            if let head = try next(of: reader) { heads.append((head.time, head.line, reader)) }
        }
        while let first = heads.indices.min(by: { heads[$0].time < heads[$1].time }) {
            try output.write(heads[first].line)
            try output.write([0x0A])
            if let head = try next(of: heads[first].reader) {
                heads[first].time = head.time
                heads[first].line = head.line
            } else {
                heads.remove(at: first)
            }
        }
    }

    private func order() -> [Int] {
        times.indices.sorted { times[$0] != times[$1] ? times[$0] < times[$1] : $0 < $1 }
    }

    private func line(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    /// A run's lines start with their time and a tab.
    private func writeRun() throws {
        guard !times.isEmpty else { return }
        let path = "\(folder)/.run-\(getpid())-\(runs.count)"
        let output = try FileWriter(path)
        for index in order() {
            try output.write("\(times[index])\t".utf8)
            try output.write(line(index))
            try output.write([0x0A])
        }
        try output.finish()
        runs.append(path)
        times.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }

    private func next(of reader: LineReader) throws -> (time: Int64, line: [UInt8])? {
        guard let line = try reader.next() else { return nil }
        guard let tab = line.firstIndex(of: 0x09),
            let time = Int64(String(decoding: line[..<tab], as: UTF8.self))
        else { throw CommandFailure("\(reader.name) was damaged while sorting") }
        return (time, Array(line[(tab + 1)...]))
    }
}
