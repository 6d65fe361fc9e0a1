// The listening socket: made so that nobody unwanted ever gets in, and so that two daemons never share a path.
//
// The file gets its mode and group between bind and listen: until then the kernel refuses every connect. A file left
// behind by a dead daemon is removed only after a connect to it was refused.

import Glibc

/// A listening descriptor, and the file to remove at the end.
struct Listener: Sendable {
    let descriptor: Int32
    private let file: SocketFile?

    static let backlog: Int32 = 511

    init(_ address: ListenAddress) throws(SocketServerError) {
        switch address {
        case .descriptor(let descriptor):
            self.descriptor = descriptor
            file = nil
        case .path(let path, let mode, let group):
            try Self.removeStale(path)
            descriptor = try Self.bound(to: path, mode: mode, group: group)
            file = SocketFile(path)
        }
    }

    /// Removes the file we made, unless somebody put another in its place.
    func removeFile() {
        guard let file, SocketFile(file.path) == file else { return }
        unsafe unlink(file.path)
    }

    private static func bound(
        to path: String, mode: UInt32, group: UInt32?
    ) throws(SocketServerError) -> Int32 {
        let descriptor = try open(path)
        var failed = ""
        if unsafe !withAddress(path, { unsafe bind(descriptor, $0, $1) == 0 }) {
            failed = "bind"
        } else if unsafe chmod(path, mode) != 0 {
            failed = "chmod"
        } else if let group, unsafe chown(path, uid_t.max, group) != 0 {
            failed = "chown to group \(group)"
        } else if listen(descriptor, backlog) != 0 {
            failed = "listen"
        }
        guard failed.isEmpty else {
            let code = errno
            close(descriptor)
            throw SocketServerError("cannot \(failed) \(path): \(message(code))")
        }
        return descriptor
    }

    /// Makes way for the socket: a file that is no socket, or at which somebody listens, is not ours to remove.
    private static func removeStale(_ path: String) throws(SocketServerError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SocketServerError(
                "\(path) exists and is not a socket: remove it or configure another path")
        }
        let descriptor = try open(path)
        defer { close(descriptor) }
        if unsafe withAddress(path, { unsafe connect(descriptor, $0, $1) == 0 }) {
            throw SocketServerError(
                "another process listens at \(path): stop it or configure another path")
        }
        guard errno == ECONNREFUSED else {
            throw SocketServerError("cannot tell whether \(path) is in use: \(message(errno))")
        }
        unsafe unlink(path)
    }

    private static func open(_ path: String) throws(SocketServerError) -> Int32 {
        let room = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        guard !path.isEmpty, path.utf8.count < room, !path.utf8.contains(0) else {
            throw SocketServerError(
                "socket path '\(path)' must have 1 to \(room - 1) bytes: configure a shorter one")
        }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else {
            throw SocketServerError("cannot make a socket: \(message(errno))")
        }
        return descriptor
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool
    ) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { room in
            unsafe room.copyBytes(from: path.utf8.prefix(room.count - 1))
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, length)
            }
        }
    }

    private static func message(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}

/// Which file a path named when the socket was made.
private struct SocketFile: Sendable, Hashable {
    let path: String
    let device: UInt
    let inode: UInt

    init?(_ path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        self.path = path
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
    }
}
