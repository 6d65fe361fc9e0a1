// Reading lines and writing files, large ones too, with their SHA-256 on the way.

import Evaluation
import Glibc

/// Reads a file (or, named `-`, standard input) line by line.
final class LineReader {
    /// A longer line is handed over in pieces, which then fail one by one: no input can take all memory.
    static let lineBytesMax = 16 << 20

    let name: String
    private(set) var bytesRead = 0
    private(set) var lineNumber = 0
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var at = 0
    private var isAtEnd = false
    private var hash = SHA256()
    private let hashes: Bool

    init(_ path: String, hashes: Bool = false) throws {
        name = path
        self.hashes = hashes
        descriptor = path == "-" ? 0 : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure("\(path) cannot be opened: \(systemReason())")
        }
    }

    deinit { if descriptor > 0 { close(descriptor) } }

    /// Size of a regular file, for progress; nil for pipes.
    var size: Int? {
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { return nil }
        lseek(descriptor, off_t(bytesRead), SEEK_SET)
        return Int(end)
    }

    /// The next line without its line feed, nil at the end.
    func next() throws -> [UInt8]? {
        var searched = at
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0A) {
                defer { at = end + 1 }
                lineNumber += 1
                return Array(buffer[at..<end])
            }
            searched = buffer.count
            if isAtEnd || buffer.count - at >= Self.lineBytesMax {
                guard at < buffer.count else { return nil }
                defer { at = buffer.count }
                lineNumber += 1
                return Array(buffer[at...])
            }
            searched -= at
            try fill()
        }
    }

    /// The SHA-256 of everything read; meaningful after the last line.
    func finishHash() -> String { hash.finish() }

    private func fill() throws {
        buffer.removeFirst(at)
        at = 0
        let wanted = 1 << 18
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: wanted))
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe read(descriptor, bytes.baseAddress?.advanced(by: old), wanted)
        }
        buffer.removeLast(wanted - max(count, 0))
        guard count >= 0 else {
            throw CommandFailure("\(name) cannot be read: \(systemReason())")
        }
        isAtEnd = count == 0
        bytesRead += count
        if hashes, count > 0 { hash.update(Array(buffer[old...])) }
    }
}

/// Writes a file under a temporary name and puts it in place when it is whole; named `-`, standard output.
final class FileWriter {
    private let path: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var hash = SHA256()
    private(set) var bytesWritten = 0
    private var isDone = false

    private var partPath: String { path + ".part" }

    init(_ path: String) throws {
        self.path = path
        if path == "-" {
            descriptor = 1
        } else {
            descriptor = unsafe open(
                path + ".part", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        }
        guard descriptor >= 0 else {
            throw CommandFailure("\(path) cannot be written: \(systemReason())")
        }
    }

    deinit {
        guard descriptor > 2, !isDone else { return }
        close(descriptor)
        unsafe unlink(partPath)
    }

    func write(_ bytes: some Sequence<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count >= 1 << 16 { try flush() }
    }

    func write(line: String) throws {
        buffer.append(contentsOf: line.utf8)
        buffer.append(0x0A)
        if buffer.count >= 1 << 16 { try flush() }
    }

    func flush() throws {
        hash.update(buffer)
        bytesWritten += buffer.count
        var done = 0
        while done < buffer.count {
            let count = unsafe buffer.withUnsafeBytes { bytes in
                unsafe Glibc.write(
                    descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw CommandFailure("\(path) cannot be written: \(systemReason())")
            }
            done += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Puts the file in place. Returns its size and SHA-256.
    @discardableResult
    func finish() throws -> ReportedFile {
        try flush()
        isDone = true
        if descriptor > 2 {
            close(descriptor)
            guard unsafe rename(partPath, path) == 0 else {
                throw CommandFailure("\(path) cannot be put in place: \(systemReason())")
            }
        }
        return ReportedFile(name: path, bytes: bytesWritten, sha256: hash.finish())
    }
}

/// Makes a folder unless it is there.
func makeFolder(_ path: String) throws {
    guard unsafe mkdir(path, 0o755) == 0 || errno == EEXIST else {
        throw CommandFailure("the folder \(path) cannot be made: \(systemReason())")
    }
}

func fileExists(_ path: String) -> Bool { unsafe access(path, R_OK) == 0 }
