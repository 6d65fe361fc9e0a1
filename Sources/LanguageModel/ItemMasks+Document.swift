// Masks in the `millrace` section of config.json, which transformers carries along and does not read:
//
//     "millrace": {"attention": {"layers": ["intra", "ordinary", "inter"], "inter_sees_self": false,
//                                "inter_sees_sink": true, "intra_sees_sink": false}}
//
// A folder without it is a plain decoder.

import Checkpoints
import JSONDocuments
import Transformer

extension ItemMasks {
    init(reading configuration: ModelConfiguration, document: String) throws(DocumentError) {
        self = .ordinary(layerCount: configuration.layerCount)
        guard let section = configuration.millrace else { return }
        let root = JSONNode(.members(["millrace": section]), document: "\(document)/config.json")
        guard let node = try root.member("millrace").optional("attention") else { return }
        let names = try node.member("layers")
        layers = []
        for name in try names.elements(countMax: ModelConfiguration.layersMax) {
            guard let relation = TokenRelation(rawValue: try name.text()) else {
                let known = TokenRelation.allCases.map(\.rawValue).joined(separator: ", ")
                throw name.refused("\"\(try name.text())\" is none of \(known)")
            }
            layers.append(relation)
        }
        guard layers.count == configuration.layerCount else {
            throw names.refused(
                "\(layers.count) layers, but num_hidden_layers is \(configuration.layerCount)")
        }
        interSeesSelf = try node.optional("inter_sees_self")?.flag() ?? interSeesSelf
        interSeesSink = try node.optional("inter_sees_sink")?.flag() ?? interSeesSink
        intraSeesSink = try node.optional("intra_sees_sink")?.flag() ?? intraSeesSink
    }

    /// The `millrace` section with these masks in it, the rest as it was.
    func section(in section: JSONValue?) -> JSONValue? {
        var members: [JSONMember] = []
        if case .object(let other) = section { members = other.filter { $0.name != "attention" } }
        if layers.contains(where: { $0 != .ordinary }) {
            members.append(
                JSONMember(
                    "attention",
                    .members([
                        "layers": .array(layers.map { .string($0.rawValue) }),
                        "inter_sees_self": .bool(interSeesSelf),
                        "inter_sees_sink": .bool(interSeesSink),
                        "intra_sees_sink": .bool(intraSeesSink),
                    ])))
        }
        return members.isEmpty ? nil : .object(members)
    }
}
