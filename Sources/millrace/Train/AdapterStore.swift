// Adapters of one base model, and which of them serves: a folder each, a link that is replaced in one step, and a
// ledger of what was decided and why. A refresh that is killed leaves the link as it was; its leavings go with the next
// one.
//
//   FOLDER/<base version>/<version>/     the adapter, a PEFT folder
//                         current        link to the version that serves; none: the base alone
//                         pinned         the version that no refresh may replace
//                         ledger.jsonl   a line for each decision, oldest first
//                         turn           locked by the refresh under way

import Checkpoints
import Foundation
import JSONDocuments
import ModelFolders

struct AdapterStore {
    struct Adapter: Equatable {
        var version: String
        var path: String
    }

    let path: String

    /// A base has a folder of its own: a new base begins without an adapter.
    init(folder: String, base: ItemModelFolder) { path = "\(folder)/\(base.version)" }

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

    func takeTurn() throws -> Turn {
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
        if let pinned {
            close(file)
            throw CommandFailure(
                "version \(pinned) is pinned: `millrace model unpin` lets refreshes go on")
        }
        // Of a refresh that was killed.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        where name.hasSuffix(".partial") {
            try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
        }
        return Turn(descriptor: file)
    }

    func publish(_ folder: ItemAdapterFolder, version: String, reason: String) throws {
        if adapter(version) == nil { try write(folder, to: "\(path)/\(version)") }
        try point(to: version)
        try note("published", version: version, reason)
    }

    /// Goes back to `version`, or else to what served before the current one: the base alone, when nothing did.
    func rollBack(to version: String?) throws -> String? {
        guard let current else {
            throw CommandFailure("no adapter serves in \(path): there is nothing to go back from")
        }
        if let version, adapter(version) == nil {
            throw CommandFailure("no version \(version) in \(path): `millrace model list` has them")
        }
        let target = try version ?? before(current.version)
        try point(to: target)
        try note("rolled back", version: target, "from \(current.version)")
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
    private func before(_ version: String) throws -> String? {
        var serving: String?
        var found: String?
        for line in try ledger() where line.decision != "refused" && line.decision != "unpinned" {
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

    private static let base = "base"
    /// Older decisions are dropped.
    static let ledgerLinesMax = 1_000

    struct Line {
        var at: String
        var decision: String
        /// "base" for the base alone.
        var version: String
        var reason: String
    }

    func note(_ decision: String, version: String?, _ reason: String) throws {
        let line = JSONDocuments.JSONValue.members([
            "at": .string(Date.now.formatted(.iso8601)), "decision": .string(decision),
            "version": .string(version ?? Self.base), "reason": .string(reason),
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
                reason: try node.member("reason").text())
        }
    }
}
