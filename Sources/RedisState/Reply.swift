// Replies as hiredis parsed them, read without trust: every access checks the type and throws `corrupt` instead of
// trapping.

import CHiredis
import Ports

/// Frees a reply tree when the last view of it goes.
@safe
private final class ReplyTree {
    let root: UnsafeMutablePointer<redisReply>

    init(_ root: UnsafeMutablePointer<redisReply>) { unsafe self.root = root }

    deinit { unsafe freeReplyObject(root) }
}

/// A view of one node of a reply; keeps the whole reply alive.
@safe
struct Reply {
    private let tree: ReplyTree
    private let node: UnsafeMutablePointer<redisReply>

    /// Takes ownership of what `redisGetReply` returned.
    init(owning root: UnsafeMutableRawPointer) {
        unsafe node = root.assumingMemoryBound(to: redisReply.self)
        tree = unsafe ReplyTree(node)
    }

    private init(_ tree: ReplyTree, _ node: UnsafeMutablePointer<redisReply>) {
        self.tree = tree
        unsafe self.node = node
    }

    private var type: Int32 { unsafe node.pointee.type }

    /// The text of an error reply.
    var errorText: String? { type == REDIS_REPLY_ERROR ? string : nil }

    var isNull: Bool { type == REDIS_REPLY_NIL }

    func integer(_ what: String) throws(PortError) -> Int64 {
        if type == REDIS_REPLY_INTEGER { return unsafe node.pointee.integer }
        guard type == REDIS_REPLY_STRING, let value = Int64(string) else {
            throw wrong(what, "an integer")
        }
        return value
    }

    func integerOrNil(_ what: String) throws(PortError) -> Int64? {
        isNull ? nil : try integer(what)
    }

    func bytes(_ what: String) throws(PortError) -> [UInt8] {
        guard type == REDIS_REPLY_STRING else { throw wrong(what, "a string") }
        return unsafe Array(raw)
    }

    func bytesOrNil(_ what: String) throws(PortError) -> [UInt8]? {
        isNull ? nil : try bytes(what)
    }

    /// A string or status of valid UTF-8.
    func text(_ what: String) throws(PortError) -> String {
        guard type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS,
            let text = unsafe String(validating: raw, as: UTF8.self)
        else { throw wrong(what, "UTF-8 text") }
        return text
    }

    func textOrNil(_ what: String) throws(PortError) -> String? {
        isNull ? nil : try text(what)
    }

    /// The elements of an array, of exactly `count` if given.
    func elements(_ what: String, count: Int? = nil) throws(PortError) -> [Reply] {
        guard type == REDIS_REPLY_ARRAY else { throw wrong(what, "an array") }
        let found = unsafe node.pointee.elements
        guard count == nil || count == found else {
            throw wrong(what, "an array of \(count ?? 0), not \(found),")
        }
        var views: [Reply] = []
        views.reserveCapacity(found)
        for index in 0..<found {
            guard let element = unsafe node.pointee.element?[index] else {
                throw wrong(what, "an array without holes")
            }
            views.append(unsafe Reply(tree, element))
        }
        return views
    }

    private var raw: UnsafeBufferPointer<UInt8> {
        guard let start = unsafe node.pointee.str else {
            return unsafe UnsafeBufferPointer(start: nil, count: 0)
        }
        return unsafe UnsafeBufferPointer(
            start: UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self),
            count: node.pointee.len)
    }

    private var string: String { unsafe String(decoding: raw, as: UTF8.self) }

    private func wrong(_ what: String, _ expected: String) -> PortError {
        PortError(
            .corrupt,
            "Redis answered type \(type) for \(what), where \(expected) belongs: "
                + "another program wrote this key, or a newer Millrace did")
    }
}
