// How far a refresh is, as a file: the process that works replaces it, the daemon that started it reads it. Whole or
// not there; a reader never waits for a writer.

import Checkpoints
import Interactions
import JSONDocuments

enum RefreshStatus: Equatable {
    case reading
    case learning(step: Int, steps: Int)
    case judging(event: Int, events: Int)
    // How it ended.
    case passed(version: String, reason: String, learntUntil: Milliseconds?)
    case refused(reason: String)

    /// Writes what has an end at once, and the rest a few times a second. Without a path it writes nothing.
    final class Writer {
        private let path: String?
        private var next = ContinuousClock.now

        private static let pause = Duration.milliseconds(200)

        init(path: String?) { self.path = path }

        /// A status that cannot be written is none: the work goes on.
        func write(_ status: RefreshStatus) {
            guard let path else { return }
            let now = ContinuousClock.now
            guard status.isEnd || now >= next else { return }
            next = now + Self.pause
            try? replaceFile(path, with: status.document.serialised())
        }
    }

    private var isEnd: Bool {
        switch self {
        case .passed, .refused: true
        case .reading, .learning, .judging: false
        }
    }

    // MARK: - As JSON

    var document: JSONDocuments.JSONValue {
        switch self {
        case .reading: Self.members("reading")
        case .learning(let step, let steps): Self.members("learning", (step, steps))
        case .judging(let event, let events): Self.members("judging", (event, events))
        case .passed(let version, let reason, let until):
            .members([
                "stage": "passed", "version": .string(version), "reason": .string(reason),
                "learnt_until": until.map { .integer($0) } ?? .null,
            ])
        case .refused(let reason): .members(["stage": "refused", "reason": .string(reason)])
        }
    }

    private static func members(
        _ stage: String, _ progress: (Int, Int)? = nil
    ) -> JSONDocuments.JSONValue {
        .members([
            "stage": .string(stage), "done": .integer(Int64(progress?.0 ?? 0)),
            "total": .integer(Int64(progress?.1 ?? 0)),
        ])
    }

    /// Nil when there is none yet, or what is there says nothing.
    init?(path: String) {
        guard let found = try? Self(readDocument(path)) else { return nil }
        self = found
    }

    private init(_ node: JSONNode) throws(DocumentError) {
        let stage = try node.member("stage")
        func progress() throws(DocumentError) -> (Int, Int) {
            (
                try node.member("done").integer(in: 0...Int.max),
                try node.member("total").integer(in: 0...Int.max)
            )
        }
        switch try stage.text() {
        case "reading": self = .reading
        case "learning":
            let (step, steps) = try progress()
            self = .learning(step: step, steps: steps)
        case "judging":
            let (event, events) = try progress()
            self = .judging(event: event, events: events)
        case "passed":
            let until = try node.optional("learnt_until")
            self = .passed(
                version: try node.member("version").text(),
                reason: try node.member("reason").text(),
                learntUntil: try until?.time)
        case "refused": self = .refused(reason: try node.member("reason").text())
        default: throw stage.refused("no stage of a refresh")
        }
    }
}

extension JSONNode {
    /// Milliseconds since 1970.
    var time: Milliseconds {
        get throws(DocumentError) { Milliseconds(try integer(in: 0...Int.max)) }
    }
}
