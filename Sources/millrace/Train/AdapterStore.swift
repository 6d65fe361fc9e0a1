// Adapters of one base model, and which of them serves: a folder each, a link that is replaced in one step, and a
// ledger of what was decided and why. A refresh that is killed leaves the link as it was; its leavings go with the next
// one.
//
//   FOLDER/<base version>/<version>/     the adapter, a PEFT folder
//                         current        link to the version that serves; none: the base alone
//                         pinned         the version that no refresh may replace
//                         ledger.jsonl   a line for each decision, oldest first
//                         turn           locked by the refresh under way; holds the highest token seen
//                         job.partial/   what a refresh of the daemon works in, readable by it alone

import Checkpoints
import Foundation
import Interactions
import JSONDocuments
import ModelFolders

struct AdapterStore {
    struct Adapter: Equatable {
        var version: String
        var path: String
    }

    let path: String

    /// A base has a folder of its own: a new base begins without an adapter.
    init(folder: String, base: ItemModelFolder) {
        self.init(folder: folder, baseVersion: base.version)
    }

    init(folder: String, baseVersion: String) { path = "\(folder)/\(baseVersion)" }

    /// The adapter that serves.
    var current: Adapter? {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(path)/current"))
            .flatMap(adapter)
    }

    /// By name; nil when there is none of that name.
    func adapter(_ version: String) -> Adapter? {
        let isVersion = version.utf8.count == 16 && version.allSatisfy(\.isHexDigit)
        let folder = "\(path)/\(version)"
        guard isVersion, fileExists("\(folder)/adapter_config.json") else { return nil }
        return Adapter(version: version, path: folder)
    }

    var versions: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { adapter($0) != nil }.sorted()
    }

    // MARK: - Decisions

    /// Held by the one refresh under way; given back by the kernel when the process dies.
    struct Turn {
        fileprivate let descriptor: Int32

        func end() { close(descriptor) }
    }

    /// `token` is that of the lease under which the turn is taken: nobody with a lower one publishes from then on.
    func takeTurn(token: Int64? = nil) throws -> Turn {
        let turn = try lock()
        do {
            if let pinned {
                throw CommandFailure(
                    "version \(pinned) is pinned: `millrace model unpin` lets refreshes go on")
            }
            if let token {
                try check(token)
                try replaceFile("\(path)/fence", with: Array("\(token)\n".utf8))
            }
        } catch {
            turn.end()
            throw error
        }
        sweep()
        return turn
    }

    /// Removes what a killed refresh left, unless another is under way.
    func cleanUp() {
        guard fileExists(path), let turn = try? lock() else { return }
        sweep()
        turn.end()
    }

    private func lock() throws -> Turn {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        let file = unsafe open("\(path)/turn", O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw CommandFailure("\(path)/turn cannot be opened: \(systemReason())")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw CommandFailure("another refresh of this model is under way in \(path)")
        }
        return Turn(descriptor: file)
    }

    private func sweep() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        where name.hasSuffix(".partial") {
            try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
        }
    }

    /// The highest token under which a turn was taken.
    private var fence: Int64 {
        let text = (try? String(contentsOfFile: "\(path)/fence", encoding: .utf8)) ?? ""
        return Int64(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    }

    private func check(_ token: Int64) throws {
        let highest = fence
        guard token >= highest else {
            throw CommandFailure(
                "token \(token) is stale: \(highest) has been here, another instance refreshes")
        }
    }

    /// `learntUntil` is the time of the newest event it was taught.
    func publish(
        _ folder: ItemAdapterFolder, version: String, reason: String,
        learntUntil: Milliseconds? = nil, token: Int64? = nil
    ) throws {
        if let token { try check(token) }
        if adapter(version) == nil { try write(folder, to: "\(path)/\(version)") }
        try point(to: version)
        try note("published", version: version, reason, learntUntil: learntUntil)
    }

    /// The time of the newest event that the version was taught; nil when the ledger does not know.
    func learntUntil(_ version: String?) -> Milliseconds? {
        let lines = (try? ledger()) ?? []
        return lines.last { $0.version == version && $0.learntUntil != nil }?.learntUntil
    }

    /// Removes the adapters published first, but for those that serve or may have to, until so many are left.
    func prune(keeping count: Int) {
        var order: [String] = []
        let kept = Set([current?.version, pinned, current.flatMap { before($0.version) }])
        for line in (try? ledger()) ?? [] where line.decision == "published" {
            order.removeAll { $0 == line.version }
            order.append(line.version)
        }
        let all = versions
        let old = all.filter { !order.contains($0) } + order.filter(all.contains)
        for version in old.dropLast(max(1, count)) where !kept.contains(version) {
            try? FileManager.default.removeItem(atPath: "\(path)/\(version)")
        }
    }

    /// Goes back to `version`, or else to what served before the current one: the base alone, when nothing did.
    func rollBack(to version: String?, reason: String = "") throws -> String? {
        guard let current else {
            throw CommandFailure("no adapter serves in \(path): there is nothing to go back from")
        }
        if let version, version != Self.base, adapter(version) == nil {
            throw CommandFailure("no version \(version) in \(path): `millrace model list` has them")
        }
        if let pinned {
            throw CommandFailure("version \(pinned) is pinned: `millrace model unpin` lets it go")
        }
        let target = version == Self.base ? nil : version ?? before(current.version)
        try point(to: target)
        let suffix = reason.isEmpty ? "" : ": \(reason)"
        try note("rolled back", version: target, "from \(current.version)\(suffix)")
        return target
    }

    var pinned: String? {
        (try? String(contentsOfFile: "\(path)/pinned", encoding: .utf8)).map {
            $0.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    func pin(_ version: String?) throws {
        guard let version = version ?? current?.version, adapter(version) != nil else {
            throw CommandFailure("no such version in \(path): `millrace model list` has them")
        }
        try replaceFile("\(path)/pinned", with: Array("\(version)\n".utf8))
        try point(to: version)
        try note("pinned", version: version, "")
    }

    func unpin() throws {
        guard unsafe unlink("\(path)/pinned") == 0 else {
            throw CommandFailure("nothing is pinned in \(path)")
        }
        try note("unpinned", version: current?.version, "")
    }

    /// What served when `version` was published.
    func before(_ version: String) -> String? {
        var serving: String?
        var found: String?
        for line in (try? ledger()) ?? []
        where ["published", "rolled back", "pinned"].contains(line.decision) {
            if line.decision == "published", line.version == version { found = serving }
            serving = line.version
        }
        return found.flatMap { adapter($0)?.version }
    }

    private func point(to version: String?) throws {
        let link = "\(path)/current"
        guard let version else {
            guard unsafe unlink(link) == 0 || errno == ENOENT else {
                throw CommandFailure("\(link) cannot be removed: \(systemReason())")
            }
            return
        }
        let next = "\(link).partial"
        unsafe unlink(next)
        guard unsafe symlink(version, next) == 0, unsafe rename(next, link) == 0 else {
            throw CommandFailure("\(link) cannot be made: \(systemReason())")
        }
    }

    // MARK: - The ledger

    /// How the model without an adapter is called.
    static let base = "base"
    /// Older decisions are dropped.
    static let ledgerLinesMax = 1_000

    struct Line {
        var at: String
        var decision: String
        /// "base" for the base alone.
        var version: String
        var reason: String
        var learntUntil: Milliseconds?

        var time: Date? { try? Date(at, strategy: .iso8601) }
    }

    func note(
        _ decision: String, version: String?, _ reason: String, learntUntil: Milliseconds? = nil
    ) throws {
        let line = JSONDocuments.JSONValue.members([
            "at": .string(Date.now.formatted(.iso8601)), "decision": .string(decision),
            "version": .string(version ?? Self.base), "reason": .string(reason),
            "learnt_until": learntUntil.map { .integer($0) } ?? .null,
        ])
        var lines = ledgerText.split(separator: "\n").suffix(Self.ledgerLinesMax - 1).map(
            String.init)
        lines.append(String(decoding: line.serialised(.compact), as: UTF8.self))
        let text = lines.joined(separator: "\n") + "\n"
        try replaceFile("\(path)/ledger.jsonl", with: Array(text.utf8))
    }

    private var ledgerText: String {
        (try? String(contentsOfFile: "\(path)/ledger.jsonl", encoding: .utf8)) ?? ""
    }

    func ledger() throws -> [Line] {
        try ledgerText.split(separator: "\n").map { text in
            let node = JSONNode(
                try JSONDocuments.JSONValue(parsing: Array(text.utf8), named: "ledger.jsonl"),
                document: "ledger.jsonl")
            return Line(
                at: try node.member("at").text(), decision: try node.member("decision").text(),
                version: try node.member("version").text(),
                reason: try node.member("reason").text(),
                learntUntil: try node.optional("learnt_until")?.time)
        }
    }
}
