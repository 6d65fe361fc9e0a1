// Who is at the other end, and what that one may do (promise G10): decided once per connection from the kernel's
// word.

import CShims
import Glibc

enum Right: Int, Comparable, Sendable {
    /// Handshake and introspection of one's own connection: needs nothing.
    case none
    case read
    case write
    case admin

    var name: String {
        switch self {
        case .none: "connect"
        case .read: "read"
        case .write: "write"
        case .admin: "admin"
        }
    }

    static func < (left: Right, right: Right) -> Bool { left.rawValue < right.rawValue }
}

/// The peer of a Unix socket as the kernel recorded it when it connected.
struct Peer: Sendable, Hashable {
    var process: Int32
    var user: UInt32
    /// Primary group first.
    var groups: [UInt32]

    static let groupsMax = 256

    /// Nil when the kernel does not tell, which means: no rights.
    init?(descriptor: Int32) {
        var credentials = shims_peer()
        guard unsafe shims_peer_credentials(descriptor, &credentials) == 0 else { return nil }
        process = credentials.pid
        user = credentials.uid
        var supplementary = [UInt32](repeating: 0, count: Self.groupsMax)
        var count: Int32 = 0
        let code = unsafe shims_peer_groups(
            descriptor, &supplementary, Int32(Self.groupsMax), &count)
        groups = [credentials.gid] + (code == 0 ? supplementary.prefix(Int(count)) : [])
    }

    init(process: Int32, user: UInt32, groups: [UInt32]) {
        self.process = process
        self.user = user
        self.groups = groups
    }
}

extension AccessRules {
    /// The greatest right `peer` holds.
    func right(of peer: Peer, ownUser: UInt32 = geteuid()) -> Right {
        if peer.user == 0 || peer.user == ownUser || admin.contains(peer) { return .admin }
        if write.contains(peer) { return .write }
        return read.contains(peer) ? .read : .none
    }

    func refusal(of command: String, needs right: Right, peer: Peer?) -> String {
        let who = peer.map { "uid \($0.user)" } ?? "this connection"
        return "NOPERM \(who) has no '\(right.name)' right, which '\(command)' needs; "
            + "add the uid, or one of its groups, to \(settingName).\(right.name)"
    }
}

extension Principals {
    func contains(_ peer: Peer) -> Bool {
        everyone || users.contains(peer.user) || peer.groups.contains { groups.contains($0) }
    }
}
