// Arguments of a request, taken one after the other and checked.

import Filters
import Interactions
import Ports
import WireProtocol

/// Why arguments cannot be a request: the text of the error reply.
struct ArgumentError: Error {
    let text: String

    init(_ text: String) { self.text = text }
    static let syntax = ArgumentError("ERR syntax error")
    static let notInteger = ArgumentError("ERR value is not an integer or out of range")
    static let notFloat = ArgumentError("ERR value is not a valid float")
}

/// Takes arguments one after the other; every complaint names the thing and the value.
struct ArgumentReader {
    let request: Request
    var next = 1

    init(_ request: Request, from next: Int = 1) {
        self.request = request
        self.next = next
    }

    var isAtEnd: Bool { next >= request.count }

    mutating func take(_ word: StaticString) -> Bool {
        guard !isAtEnd, request.isWord(next, word) else { return false }
        next += 1
        return true
    }

    mutating func text(_ what: String) throws(ArgumentError) -> String {
        guard !isAtEnd else { throw .syntax }
        guard let text = request.text(next) else {
            throw ArgumentError("ERR \(what) '\(request.shown(next))' is not valid UTF-8")
        }
        next += 1
        return text
    }

    mutating func integer() throws(ArgumentError) -> Int {
        guard !isAtEnd else { throw .syntax }
        guard let value = request.integer(next) else { throw .notInteger }
        next += 1
        return value
    }

    mutating func double() throws(ArgumentError) -> Double {
        guard !isAtEnd else { throw .syntax }
        guard let value = request.double(next) else { throw .notFloat }
        next += 1
        return value
    }

    mutating func user() throws(ArgumentError) -> UserID {
        try identifier("user") { UserID($0) }
    }

    mutating func item() throws(ArgumentError) -> ItemID {
        try identifier("item") { ItemID($0) }
    }

    private mutating func identifier<ID>(
        _ what: String, _ make: (String) -> ID?
    ) throws(ArgumentError) -> ID {
        guard !isAtEnd else { throw .syntax }
        let count = request.arguments[next].count
        guard count > 0, count <= Identifier.bytesMax else {
            throw ArgumentError(
                "ERR \(what) has \(count) bytes: 1 to \(Identifier.bytesMax) are accepted")
        }
        guard let id = make(try text(what)) else { throw .syntax }
        return id
    }

    mutating func count() throws(ArgumentError) -> Int {
        let count = try integer()
        let bounds = RecommendRequest.countBounds
        guard bounds.contains(count) else {
            throw ArgumentError(
                "ERR COUNT \(count) is out of range: "
                    + "\(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return count
    }

    /// `k item ...`
    mutating func items(_ option: String) throws(ArgumentError) -> [ItemID] {
        let count = try integer()
        guard (1...RecommendRequest.itemsMax).contains(count), count <= request.count - next else {
            throw ArgumentError(
                "ERR \(option) \(count) must be the number of items behind it, "
                    + "1 to \(RecommendRequest.itemsMax)")
        }
        var items: [ItemID] = []
        items.reserveCapacity(count)
        for _ in 0..<count { items.append(try item()) }
        return items
    }

    /// `teachers` are the names that MODE knows beside the rungs of the ladder.
    mutating func recommendRequest(
        times: SocketTimes, teachers: [String] = []
    ) throws(ArgumentError) -> (RecommendRequest, ListForm) {
        var query = RecommendRequest(user: try user())
        query.countIsGiven = false
        var form = ListForm()
        while !isAtEnd {
            if take("COUNT") {
                query.count = try count()
                query.countIsGiven = true
            } else if take("DEADLINE") {
                query.deadlineMilliseconds = try deadline(times)
            } else if take("WITHSCORES") {
                form.scores = true
            } else if take("WITHSOURCES") {
                form.sources = true
            } else if take("ASOF") {
                form.asOf = true
                query.isKept = true
            } else if try !takeRule(into: &query, teachers) {
                throw .syntax
            }
        }
        return (query, form)
    }

    /// A word that says which items a list is made of and in what order, with what follows it.
    private mutating func takeRule(
        into query: inout RecommendRequest, _ teachers: [String]
    ) throws(ArgumentError) -> Bool {
        if take("MODE") {
            (query.mode, query.teacher) = try mode(teachers)
        } else if take("SESSION") {
            query.session = try items("SESSION")
        } else if take("CANDIDATES") {
            query.candidates = try items("CANDIDATES")
        } else if take("EXCLUDE") {
            query.exclude = try items("EXCLUDE")
        } else if take("FILTER") {
            query.filter = try filter()
        } else if take("SCENARIO") {
            query.scenario = try text("SCENARIO")
        } else {
            return false
        }
        return true
    }

    /// `user item [MODE auto|cf|teacher] [SESSION ...] [CANDIDATES ...] [EXCLUDE ...] [FILTER expr] [SCENARIO name]
    /// [LIST recId] [EVENTS]`
    mutating func explainRequest(_ teachers: [String]) throws(ArgumentError) -> ExplainRequest {
        let user = try user()
        var query = ExplainRequest(item: try item(), list: RecommendRequest(user: user))
        query.list.countIsGiven = false
        while !isAtEnd {
            if take("LIST") {
                query.past = try listID()
            } else if take("EVENTS") {
                query.isByEvents = true
            } else if try !takeRule(into: &query.list, teachers) {
                throw .syntax
            }
        }
        guard query.list.mode == .auto || query.list.mode == .cf else {
            throw ArgumentError(
                "ERR MODE '\(query.list.mode.rawValue)' cannot be explained; "
                    + "auto, cf and teachers can")
        }
        return query
    }

    private mutating func listID() throws(ArgumentError) -> ListID {
        let place = next
        guard let id = ListID(try text("list")) else {
            throw ArgumentError(
                "ERR '\(request.shown(place))' is no list id: "
                    + "REC.GET ... ASOF replies with one as id")
        }
        return id
    }

    private mutating func mode(
        _ teachers: [String]
    ) throws(ArgumentError) -> (ServingMode, teacher: String?) {
        let name = try text("MODE")
        if let mode = ServingMode(rawValue: name.lowercased()) { return (mode, nil) }
        guard teachers.contains(name.lowercased()) else {
            let known = ServingMode.allCases.map(\.rawValue) + teachers
            throw ArgumentError(
                "ERR MODE '\(name)' is unknown; there are \(known.joined(separator: ", "))")
        }
        return (.auto, name.lowercased())
    }

    private mutating func deadline(_ times: SocketTimes) throws(ArgumentError) -> Int {
        let milliseconds = try integer()
        guard (1...times.deadlineMillisecondsMax).contains(milliseconds) else {
            throw ArgumentError(
                "ERR DEADLINE \(milliseconds) is out of range: "
                    + "1 to \(times.deadlineMillisecondsMax) ms")
        }
        return milliseconds
    }

    /// One argument that is a whole expression.
    private mutating func filter() throws(ArgumentError) -> Filter {
        let text = try text("FILTER")
        do throws(FilterError) { return try Filter(text) } catch {
            throw ArgumentError("ERR FILTER: \(error)")
        }
    }

    /// `item [COUNT n] [FILTER expr] [SCENARIO name] [WITHSCORES] [WITHSOURCES]`
    mutating func similarRequest() throws(ArgumentError) -> (SimilarRequest, ListForm) {
        var query = SimilarRequest(item: try item())
        var form = ListForm()
        while !isAtEnd {
            if take("COUNT") {
                query.count = try count()
            } else if take("FILTER") {
                query.filter = try filter()
            } else if take("SCENARIO") {
                query.scenario = try text("SCENARIO")
            } else if take("WITHSCORES") {
                form.scores = true
            } else if take("WITHSOURCES") {
                form.sources = true
            } else {
                throw .syntax
            }
        }
        return (query, form)
    }

    /// `[FROM n] [COUNT n]`
    mutating func journalRequest() throws(ArgumentError) -> (from: Int, count: Int) {
        var (from, count) = (0, Self.journalCountDefault)
        while !isAtEnd {
            if take("FROM") {
                from = try integer()
            } else if take("COUNT") {
                count = try integer()
            } else {
                throw .syntax
            }
        }
        guard from >= 0, count > 0 else { throw .notInteger }
        return (from, count)
    }

    private static let journalCountDefault = 1_000

    /// `recId [COUNT n] [WITHSCORES] [WITHSOURCES] [ASOF]`
    mutating func nextRequest() throws(ArgumentError) -> (ListID, count: Int?, ListForm) {
        let id = try listID()
        var form = ListForm()
        var count: Int?
        while !isAtEnd {
            if take("COUNT") {
                count = try self.count()
            } else if take("WITHSCORES") {
                form.scores = true
            } else if take("WITHSOURCES") {
                form.sources = true
            } else if take("ASOF") {
                form.asOf = true
            } else {
                throw .syntax
            }
        }
        return (id, count, form)
    }
}
