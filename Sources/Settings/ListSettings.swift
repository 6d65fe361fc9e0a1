// The settings of how lists are made: scenarios, written as a map from their names, and lists that are kept.

public import Filters
import Yams

public struct ListSettings: Sendable, Hashable {
    public var scenarios: [String: Scenario] = [:]
    public var keptTTL = Duration.seconds(1_800)
    public var keptBytesMax = 64 << 20

    public init() {}
}

extension SettingKey {
    static let lists: [SettingKey] = [
        SettingKey(
            "lists.scenarios", \.lists.scenarios, ScenarioCodec.all, effect: .reload,
            """
            Rules by which lists are made, for REC.GET ... SCENARIO name; those of the name default
            hold where none is named. For example {basket: {filter: "price < 20", count: 5,
            boosts: [{when: "brand = 'Lux'", by: 1.5}], brand-max: 2, category-max: 4,
            diversity-lambda: 0.7, exploration: 0.05}}.
            """),
        SettingKey(
            "lists.kept-ttl", \.lists.keptTTL, .duration(.seconds(1) ... .seconds(86_400)),
            "How long after its last use the next page of a list can be asked for (REC.NEXT)."),
        SettingKey(
            "lists.kept-max", \.lists.keptBytesMax, .size(64 << 10...64 << 30),
            "Memory for such lists; beyond it the longest unused are dropped."),
    ]
}

enum ScenarioCodec {
    static let scenariosMax = 256
    private static let keys = [
        "filter", "boosts", "brand-max", "category-max", "diversity-lambda", "exploration", "count",
    ]
    private static let allowed = "name: {\(keys.joined(separator: ", "))}, at most \(scenariosMax)"

    private static let name = Codec<String>.text("1 to 64 of letters, digits, _ and -") { text in
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { isASCIIWord($0) || $0 == UInt8(ascii: "-") }
    }
    private static let placesMax = Codec<Int>.integer(1...1_000)
    private static let lambda = Codec<Double>.number(0...1)
    private static let exploration = Codec<Double>.number(0...Scenario.explorationMax)

    static let all = Codec<[String: Scenario]>(
        type: "map", allowed: allowed,
        parse: { node, key, findings in
            if node.isNull { return [:] }
            guard let mapping = node.mapping, mapping.count <= scenariosMax else {
                findings.add(
                    node.mark, key, "is not a map of at most \(scenariosMax) scenarios",
                    allowed: allowed)
                return nil
            }
            var scenarios: [String: Scenario] = [:]
            for (nameNode, value) in mapping {
                guard let name = name.parse(nameNode, key, &findings) else { continue }
                scenarios[name] = scenario(value, "\(key).\(name)", &findings)
            }
            return scenarios.count == mapping.count ? scenarios : nil
        },
        render: { scenarios in
            let entries = scenarios.sorted { $0.key < $1.key }.map { name, scenario in
                "\(yamlText(name)): \(text(of: scenario))"
            }
            return "{" + entries.joined(separator: ", ") + "}"
        })

    /// An expression; a fault is told with the character of the expression.
    private static let filter = Codec<Filter>(
        type: "filter", allowed: "an expression as in docs/filters.md",
        parse: { node, key, findings in
            guard let text = node.scalarText(key, "an expression", &findings) else { return nil }
            do throws(FilterError) { return try Filter(text) } catch {
                findings.add(node.mark, key, "\(error)")
                return nil
            }
        },
        render: { yamlText($0.text) })

    private static let boost = Codec<Boost>(
        type: "boost",
        allowed:
            "{when: expression, by: \(Boost.byBounds.lowerBound) to \(Boost.byBounds.upperBound)}",
        parse: { node, key, findings in
            guard
                let fields = node.namedFields(
                    key, ["when", "by"], required: ["when", "by"], &findings),
                let when = fields["when"], let by = fields["by"],
                let when = filter.parse(when, key + ".when", &findings),
                let by = Codec<Double>.number(Boost.byBounds).parse(by, key + ".by", &findings)
            else { return nil }
            return Boost(when: when, by: by)
        },
        render: { "{when: \(filter.render($0.when)), by: \($0.by)}" })

    private static let boosts = Codec<[Boost]>.list(of: boost, 0...Scenario.boostsMax)

    private static func scenario(
        _ node: Node, _ key: String, _ findings: inout Findings
    ) -> Scenario? {
        guard let fields = node.namedFields(key, keys, required: [], &findings) else { return nil }
        var scenario = Scenario()
        var isSound = true
        func read<Value>(_ name: String, _ codec: Codec<Value>, _ set: (Value) -> Void) {
            guard let field = fields[name] else { return }
            if let value = codec.parse(field, "\(key).\(name)", &findings) {
                set(value)
            } else {
                isSound = false
            }
        }
        read("filter", filter) { scenario.filters = [$0] }
        read("boosts", boosts) { scenario.boosts = $0 }
        read("brand-max", placesMax) { scenario.brandMax = $0 }
        read("category-max", placesMax) { scenario.categoryMax = $0 }
        read("diversity-lambda", lambda) { scenario.diversityLambda = $0 }
        read("exploration", exploration) { scenario.exploration = $0 }
        read("count", placesMax) { scenario.count = $0 }
        return isSound ? scenario : nil
    }

    private static func text(of scenario: Scenario) -> String {
        var fields: [String] = scenario.filters.map { "filter: \(filter.render($0))" }
        if !scenario.boosts.isEmpty { fields.append("boosts: \(boosts.render(scenario.boosts))") }
        if let count = scenario.brandMax { fields.append("brand-max: \(count)") }
        if let count = scenario.categoryMax { fields.append("category-max: \(count)") }
        if scenario.diversityLambda != 1 {
            fields.append("diversity-lambda: \(scenario.diversityLambda)")
        }
        if scenario.exploration != 0 { fields.append("exploration: \(scenario.exploration)") }
        if let count = scenario.count { fields.append("count: \(count)") }
        return "{" + fields.joined(separator: ", ") + "}"
    }
}
