// From an expression's text to its tree, by recursive descent over one token of look-ahead (grammar: docs/filters.md).

struct FilterParser {
    private var lexer: FilterLexer
    private var token: FilterToken
    private var depth = 0
    private var nodeCount = 0

    static func parse(_ text: String) throws(FilterError) -> FilterNode {
        guard text.utf8.count <= Filter.bytesMax else {
            throw FilterError(
                position: 1,
                reason: "expected at most \(Filter.bytesMax) bytes, not \(text.utf8.count),",
                before: "")
        }
        var parser = try FilterParser(text)
        let root = try parser.any()
        guard parser.token.kind == .end else { throw parser.expected("AND, OR or the end") }
        return root
    }

    private init(_ text: String) throws(FilterError) {
        lexer = FilterLexer(text)
        token = try lexer.next()
    }

    // MARK: - Rules of the grammar

    private mutating func any() throws(FilterError) -> FilterNode {
        var nodes = [try all()]
        while try take("or") { nodes.append(try all()) }
        return nodes.count == 1 ? nodes[0] : .any(nodes)
    }

    private mutating func all() throws(FilterError) -> FilterNode {
        var nodes = [try one()]
        while try take("and") { nodes.append(try one()) }
        return nodes.count == 1 ? nodes[0] : .all(nodes)
    }

    private mutating func one() throws(FilterError) -> FilterNode {
        let start = token.start
        if try take("not") {
            try enter(start)
            defer { depth -= 1 }
            return .not(try one())
        }
        if token.kind == .open {
            try enter(start)
            defer { depth -= 1 }
            try advance()
            let node = try any()
            guard token.kind == .close else { throw expected("AND, OR or )") }
            try advance()
            return node
        }
        try count(start)
        if try take("has") { return .has(try field()) }
        return try test()
    }

    private mutating func test() throws(FilterError) -> FilterNode {
        let field = try field()
        if field.kind == .flag { return try flag() }
        if try take("not") {
            guard try take("in") else { throw expected("IN") }
            return .not(try list(field))
        }
        if try take("in") { return try list(field) }
        if field.kind == .text, try take("contains") {
            return .contains(field, try text().utf8.map(\.lowercased))
        }
        guard case .comparison(let comparison) = token.kind else {
            throw expected(
                field.kind == .text ? "=, !=, IN or CONTAINS" : "=, !=, <, <=, >, >= or IN")
        }
        if field.kind == .text, comparison != .equal, comparison != .unequal {
            throw expected("=, !=, IN or CONTAINS")
        }
        try advance()
        let equal: FilterNode =
            field.kind == .text ? .isText(field, [try text()]) : .isNumber(field, [try number()])
        switch (comparison, equal) {
        case (.equal, _): return equal
        case (.unequal, _): return .not(equal)
        case (_, .isNumber(_, let values)): return .compares(field, comparison, values[0])
        default: return equal
        }
    }

    /// What may follow `available`.
    private mutating func flag() throws(FilterError) -> FilterNode {
        guard case .comparison(let comparison) = token.kind else { return .isAvailable }
        guard comparison == .equal || comparison == .unequal else { throw expected("= or !=") }
        try advance()
        let isTrue: Bool
        if try take("true") {
            isTrue = true
        } else if try take("false") {
            isTrue = false
        } else {
            throw expected("TRUE or FALSE")
        }
        return (comparison == .equal) == isTrue ? .isAvailable : .not(.isAvailable)
    }

    private mutating func list(_ field: FilterField) throws(FilterError) -> FilterNode {
        guard token.kind == .open else { throw expected("(") }
        var texts: [String] = []
        var numbers: [Double] = []
        repeat {
            try advance()
            try count(token.start)
            if field.kind == .text {
                texts.append(try text())
            } else {
                numbers.append(try number())
            }
        } while token.kind == .comma
        guard token.kind == .close else { throw expected(", or )") }
        try advance()
        return field.kind == .text ? .isText(field, texts) : .isNumber(field, numbers)
    }

    private mutating func field() throws(FilterError) -> FilterField {
        let names = FilterField.allCases.map(\.rawValue)
        guard case .word(let word) = token.kind else {
            throw expected("a field (\(names.joined(separator: ", ")))")
        }
        guard let field = FilterField(rawValue: word.lowercased()) else {
            throw expected("one of the fields \(names.joined(separator: ", "))")
        }
        try advance()
        return field
    }

    private mutating func text() throws(FilterError) -> String {
        guard case .text(let text) = token.kind else {
            throw expected(token.kind == .end ? "a value" : "a string in quotes")
        }
        try advance()
        return text
    }

    private mutating func number() throws(FilterError) -> Double {
        guard case .number(let number) = token.kind else {
            throw expected(token.kind == .end ? "a value" : "a number")
        }
        try advance()
        return number
    }

    // MARK: - Tokens

    private mutating func advance() throws(FilterError) { token = try lexer.next() }

    /// Takes a keyword, written in letters of either case.
    private mutating func take(_ keyword: String) throws(FilterError) -> Bool {
        guard case .word(let word) = token.kind, word.lowercased() == keyword else { return false }
        try advance()
        return true
    }

    private func expected(_ what: String) -> FilterError {
        let met = token.kind == .end ? "" : ", not \(token.shown),"
        return lexer.fault("expected \(what)\(met)", at: token.start)
    }

    // MARK: - Limits

    private mutating func enter(_ start: Int) throws(FilterError) {
        depth += 1
        guard depth <= Filter.depthMax else {
            throw lexer.fault(
                "expected at most \(Filter.depthMax) levels of parentheses and NOT", at: start)
        }
    }

    private mutating func count(_ start: Int) throws(FilterError) {
        nodeCount += 1
        guard nodeCount <= Filter.nodesMax else {
            throw lexer.fault("expected at most \(Filter.nodesMax) tests and values", at: start)
        }
    }
}
