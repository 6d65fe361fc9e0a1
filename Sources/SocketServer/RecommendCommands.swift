// REC.GET, REC.SIMILAR, REC.EXPLAIN: arguments to requests, lists to replies.

import Interactions
import Ports
import WireProtocol

/// `RecommendationService.Reply`, which cannot be named through the protocol.
typealias ServiceReply<Value> = @Sendable (Result<Value, PortError>) -> Void

/// What a list is shown with.
struct ListForm: Sendable {
    var scores = false
    var sources = false
    var asOf = false
}

extension Connection {
    /// Runs `body`; what it throws becomes the reply.
    func answering(_ body: () throws(ArgumentError) -> Void) {
        do { try body() } catch { reply(error: error.text) }
    }

    func recommend(_ request: Request) {
        if replyFromCache(request) { return }
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let (query, form) = try reader.recommendRequest(
                times: loop.state.configuration.times,
                teachers: loop.state.configuration.teachers)
            let milliseconds =
                query.deadlineMilliseconds
                ?? loop.state.configuration.times.readDeadlineMilliseconds
            let ticket = open(
                frame: request.withFrame { Array(span: $0) },
                milliseconds: milliseconds)
            let cacheable = !form.asOf
            loop.state.service.recommend(query) { [inbox = loop.inbox, id] result in
                var delivery = Delivery(
                    connection: id, ticket: ticket,
                    body: .encode { ListText.write(result, form, to: &$0) })
                switch result {
                case .success(let list):
                    delivery.rung = list.rung
                    if cacheable, !list.isHurried { delivery.cacheTag = (query.user, list.version) }
                case .failure(let error): delivery.failure = ErrorText.prefix(error)
                }
                inbox.deliver(delivery)
            }
        }
    }

    /// Answers the same bytes from the cache while that is right; returns whether it did.
    private func replyFromCache(_ request: Request) -> Bool {
        guard request.frameLength > 0, loop.state.configuration.limits.cacheBytesMax > 0 else {
            return false
        }
        let entry = request.withFrame { loop.cache.find(ReplyCache.key($0, version), $0) }
        let staleness = Double(loop.state.configuration.times.cacheStalenessMilliseconds) / 1_000
        guard let entry, loop.now - entry.storedSeconds < staleness,
            loop.state.service.version(of: entry.user) == entry.version
        else {
            loop.state.counters.cacheMisses.increase()
            return false
        }
        loop.state.counters.cacheHits.increase()
        reply(encoded: entry.reply)
        let seconds = max(0, loop.state.clock.monotonicSeconds - loop.now)
        loop.state.observer.observe(
            .requestServed(command: "rec.get", rung: entry.rung, seconds: seconds))
        return true
    }

    func similar(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let (query, form) = try reader.similarRequest()
            let reply = later(request) {
                (items: [RecommendedItem], writer: inout ReplyWriter) in
                ListText.write(items, form, to: &writer)
            }
            loop.state.service.similar(query, reply: reply)
        }
    }

    func next(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let (list, count, form) = try reader.nextRequest()
            let reply = later(request) { (list: Recommendation, writer: inout ReplyWriter) in
                ListText.write(.success(list), form, to: &writer)
            }
            loop.state.service.next(list, count: count, reply: reply)
        }
    }

    func explain(_ request: Request) {
        answering { () throws(ArgumentError) in
            var reader = ArgumentReader(request)
            let query = try reader.explainRequest(loop.state.configuration.teachers)
            let reply = later(request) { [item = query.item] (explanation: Explanation, writer) in
                ExplanationText.write(explanation, of: item, to: &writer)
            }
            loop.state.service.explain(query, reply: reply)
        }
    }

    /// Opens a slot, and makes the closure that fills it with what the service replies. Writes are given more time.
    func later<Value: Sendable>(
        _ request: Request, encode: @escaping @Sendable (Value, inout ReplyWriter) -> Void
    ) -> ServiceReply<Value> {
        let times = loop.state.configuration.times
        let standard =
            current.map { $0.right > .read } == true
            ? times.writeDeadlineMilliseconds : times.readDeadlineMilliseconds
        let ticket = open(
            frame: request.withFrame { Array(span: $0) }, milliseconds: standard)
        return { [inbox = loop.inbox, id] result in
            switch result {
            case .success(let value):
                inbox.deliver(
                    Delivery(
                        connection: id, ticket: ticket, body: .encode { encode(value, &$0) }))
            case .failure(let error):
                let text = ErrorText.of(error)
                inbox.deliver(
                    Delivery(
                        connection: id, ticket: ticket, body: .encode { $0.error(text) },
                        failure: ErrorText.prefix(error)))
            }
        }
    }
}

extension Array where Element == UInt8 {
    init(span: Span<UInt8>) {
        self.init(capacity: span.count) { output in
            for index in span.indices { output.append(span[index]) }
        }
    }
}

/// How lists and explanations look on the wire.
enum ListText {
    static func write(
        _ result: Result<Recommendation, PortError>, _ form: ListForm,
        to writer: inout ReplyWriter
    ) {
        switch result {
        case .failure(let error): writer.error(ErrorText.of(error))
        case .success(let list):
            if form.asOf {
                writer.array(2)
                write(
                    list.asOf, rung: list.rung, model: list.model, missing: list.missing,
                    list: list.id, to: &writer)
            }
            write(list.items, form, to: &writer)
        }
    }

    /// Ids alone, or with what was asked: one flat array in RESP2, an array per item in RESP3, as ZRANGE WITHSCORES
    /// does.
    static func write(_ items: [RecommendedItem], _ form: ListForm, to writer: inout ReplyWriter) {
        let width = 1 + (form.scores ? 1 : 0) + (form.sources ? 1 : 0)
        let nested = width > 1 && writer.version == .resp3
        writer.array(nested ? items.count : items.count * width)
        for item in items {
            if nested { writer.array(width) }
            writer.bulk(item.id.text)
            if form.scores { writer.double(item.score) }
            if form.sources { writer.bulk(source(of: item)) }
        }
    }

    /// Where lists explore, with the probability of the choice: what estimates from logged choices need.
    private static func source(of item: RecommendedItem) -> String {
        item.propensity < 1 ? "\(item.source) p=\(item.propensity)" : item.source
    }

    static func write(
        _ asOf: AsOf, rung: String?, model: String? = nil, missing: [Omission] = [],
        list: ListID? = nil, to writer: inout ReplyWriter
    ) {
        writer.map(
            4 + (rung == nil ? 0 : 1) + (model == nil ? 0 : 1) + (missing.isEmpty ? 0 : 1)
                + (list == nil ? 0 : 1))
        writer.bulk("partition")
        writer.integer(Int(asOf.partition))
        writer.bulk("offset")
        writer.integer(asOf.nextOffset)
        writer.bulk("user_time")
        writer.integer(asOf.userTime)
        writer.bulk("age_ms")
        writer.integer(asOf.ageMilliseconds)
        if let rung {
            writer.bulk("rung")
            writer.bulk(rung)
        }
        if let model {
            writer.bulk("model")
            writer.bulk(model)
        }
        if !missing.isEmpty {
            writer.bulk("missing")
            writer.array(missing.count)
            for omission in missing { writer.bulk(omission.description) }
        }
        if let list {
            writer.bulk("id")
            writer.bulk(list.description)
        }
    }
}
