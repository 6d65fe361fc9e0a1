// The two things this module does with files: reading a range, and putting a whole file in place at once.
//
// Ranges are read with pread, not mapped: weights are converted into memory of their own in any case, and a mapped file
// that somebody shortens kills the process with SIGBUS, where a short read is an error with a name.

import Glibc
public import JSONDocuments

/// A file open for reading, with the size it had when it was opened.
final class FileReader: Sendable {
    let path: String
    let byteCount: Int
    private let descriptor: Int32

    init(path: String) throws(DocumentError) {
        // Not to wait for a writer when it is a pipe.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw DocumentError(path, "cannot be opened: \(systemReason())")
        }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw DocumentError(path, "is not a regular file")
        }
        self.path = path
        self.descriptor = descriptor
        byteCount = Int(status.st_size)
    }

    deinit { close(descriptor) }

    func bytes(at offset: Int, count: Int) throws(DocumentError) -> [UInt8] {
        var done = 0
        var failure: String?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
            while done < count {
                let got = unsafe pread(
                    descriptor, buffer.baseAddress?.advanced(by: done), count - done,
                    off_t(offset + done))
                if got < 0, errno == EINTR { continue }
                if got <= 0 {
                    failure = got < 0 ? systemReason() : "it ends after \(offset + done) bytes"
                    break
                }
                done += got
            }
            initialised = done
        }
        if let failure { throw DocumentError(path, "cannot be read: \(failure)") }
        return bytes
    }

    /// A whole small file.
    static func contents(_ path: String, bytesMax: Int) throws(DocumentError) -> [UInt8] {
        let file = try FileReader(path: path)
        guard file.byteCount <= bytesMax else {
            throw DocumentError(path, "\(file.byteCount) bytes; at most \(bytesMax) are read")
        }
        return try file.bytes(at: 0, count: file.byteCount)
    }
}

/// A file that appears under its name only when it is whole and on the disk.
struct AtomicFile: ~Copyable {
    private let path: String
    private let partPath: String
    private let descriptor: Int32
    private var isDone = false

    init(path: String) throws(DocumentError) {
        self.path = path
        partPath = "\(path).part-\(getpid())"
        descriptor = unsafe open(partPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw DocumentError(path, "cannot be made: \(systemReason())")
        }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        if !isDone { _ = unsafe unlink(partPath) }
    }

    func append(_ bytes: [UInt8]) throws(DocumentError) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw DocumentError(path, "cannot be written: \(systemReason())")
            }
            done += count
        }
    }

    /// Data to the disk, then the name, then the folder that holds the name.
    mutating func finish() throws(DocumentError) {
        guard fsync(descriptor) == 0, unsafe rename(partPath, path) == 0 else {
            throw DocumentError(path, "cannot be put in place: \(systemReason())")
        }
        isDone = true
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[...$0]) } ?? "."
        let handle = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { return }
        fsync(handle)
        close(handle)
    }
}

/// Writes a small file so that readers see the old one or the new one, never a part.
public func replaceFile(_ path: String, with bytes: [UInt8]) throws(DocumentError) {
    var file = try AtomicFile(path: path)
    try file.append(bytes)
    try file.finish()
}

/// Reads a JSON document of a model folder.
public func readDocument(_ path: String) throws(DocumentError) -> JSONNode {
    let bytes = try FileReader.contents(path, bytesMax: JSONLimits.bytesMax)
    return try JSONNode(parsing: bytes, document: path)
}

/// A text file of at most `bytesMax` bytes.
public func readText(_ path: String, bytesMax: Int = 1 << 20) throws(DocumentError) -> String {
    guard
        let text = String(
            validating: try FileReader.contents(path, bytesMax: bytesMax), as: UTF8.self)
    else { throw DocumentError(path, "it is not UTF-8") }
    return text
}

/// Whether there is something at `path`.
public func isPresent(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

func systemReason() -> String { unsafe String(cString: strerror(errno)) }
