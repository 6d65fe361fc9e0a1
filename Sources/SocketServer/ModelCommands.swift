// MODEL.*: which version of the model serves, and who decides.

import Ports
import WireProtocol

extension Connection {
    func listModels(_ request: Request) {
        asking { service in
            service.models(
                reply: later(request) { (listing: ModelListing, writer: inout ReplyWriter) in
                    ModelText.write(listing, to: &writer)
                })
        }
    }

    func refreshModel(_ request: Request) {
        asking { $0.refreshModel(reply: okLater(request)) }
    }

    func rollBackModel(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let version = reader.isAtEnd ? nil : try reader.modelVersion()
            guard reader.isAtEnd else { throw .syntax }
            asking { $0.rollBackModel(to: version, reply: versionLater(request)) }
        }
    }

    func pinModel(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let version = try reader.modelVersion()
            asking { $0.pinModel(version, reply: versionLater(request)) }
        }
    }

    func unpinModel(_ request: Request) {
        asking { $0.unpinModel(reply: okLater(request)) }
    }

    private func asking(_ body: (any ModelService) -> Void) {
        guard let service = loop.state.configuration.models else {
            return reply(error: "ERR there is no model whose versions could be listed")
        }
        body(service)
    }

    private func okLater(_ request: Request) -> ServiceReply<Void> {
        later(request) { (_: Void, writer: inout ReplyWriter) in writer.simple("OK") }
    }

    /// The version that serves now.
    private func versionLater(_ request: Request) -> ServiceReply<String> {
        later(request) { (version: String, writer: inout ReplyWriter) in writer.bulk(version) }
    }
}

extension ArgumentReader {
    static let modelVersionBytesMax = 64

    mutating func modelVersion() throws(ArgumentError) -> String {
        let text = try text("version")
        guard (1...Self.modelVersionBytesMax).contains(text.utf8.count) else {
            throw ArgumentError(
                "ERR version has \(text.utf8.count) bytes: 1 to \(Self.modelVersionBytesMax) are accepted"
            )
        }
        return text
    }
}

/// How a listing looks on the wire.
enum ModelText {
    static func write(_ listing: ModelListing, to writer: inout ReplyWriter) {
        writer.map(2)
        writer.bulk("versions")
        writer.array(listing.versions.count)
        for version in listing.versions {
            writer.map(3)
            writer.field("version", version.version)
            writer.field("serves", version.serves)
            writer.field("pinned", version.isPinned)
        }
        writer.bulk("decisions")
        writer.array(listing.decisions.count)
        for decision in listing.decisions {
            writer.map(4)
            writer.field("time", decision.time)
            writer.field("decision", decision.decision)
            writer.field("version", decision.version)
            writer.field("reason", decision.reason)
        }
    }
}
