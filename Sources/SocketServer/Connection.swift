// One client: bytes in, requests run in order, replies out in the same order although they arrive from another thread
// in any.
//
// Each request that cannot be answered at once gets a slot; a reply leaves when all slots before it have left.
// Reading stops while slots are used up, output is not being read, or an XREAD blocks: what the client sent waits in
// its own socket.

import Interactions
import NIOCore
import Ports
import Synchronization
import WireProtocol

final class Connection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let id: UInt64
    let loop: LoopContext
    let peer: Peer?
    let right: Right
    var client: ClientRecord
    var version = ProtocolVersion.resp2
    var isDirty = false
    private(set) var nextDeadline = NIODeadline.distantFuture

    var feeds = FeedReader()
    /// The command being run; nil while it is not known.
    var current: Command?
    /// The current request was answered by an error.
    var failed = false

    private var context: ChannelHandlerContext?
    private var parser: RequestParser
    private var inbound = ByteBuffer()
    private var out = ByteBuffer()
    private(set) var slots = SlotQueue()
    /// After the replies so far have left, close.
    private var ending = false
    private var closed = false
    private var readHeldBack = false
    /// Set by `open`: the current request is answered later.
    private(set) var deferred = false
    private var closing = false

    private var limits: SocketLimits { loop.state.configuration.limits }
    private var counters: Counters { loop.state.counters }

    init(loop: LoopContext, peer: Peer?, address: String) {
        self.loop = loop
        self.peer = peer
        let access = loop.state.configuration.access
        right = peer.map { access.right(of: $0) } ?? .none
        id = loop.state.counters.clientIDs.wrappingAdd(1, ordering: .relaxed).newValue
        client = ClientRecord(
            id: id, address: address, peer: peer, right: right, connectedSeconds: loop.now)
        parser = RequestParser(limits: loop.state.configuration.limits.request)
    }

    // MARK: - Life

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        counters.accepted.increase()
        let open = counters.connections.wrappingAdd(1, ordering: .relaxed).newValue
        loop.state.observer.observe(.connectionOpened)
        loop.state.clients.withLock { $0[id] = client }
        loop.add(self)
        guard open > limits.connectionsMax else { return context.fireChannelActive() }
        counters.rejectedByLimit.increase()
        reply { $0.error("ERR max number of clients reached") }
        end()
        loop.settle()
    }

    func channelInactive(context: ChannelHandlerContext) {
        closed = true
        counters.connections.wrappingSubtract(1, ordering: .relaxed)
        unsubscribeAll()
        endBlockedRead()
        loop.state.clients.withLock { $0[id] = nil }
        loop.remove(self)
        loop.state.observer.observe(.connectionClosed(reason: closeReason))
        self.context = nil
        context.fireChannelInactive()
    }

    private var closeReason = "client"

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close(reason: "error") }

    func close(reason: String) {
        guard !closed, let context else { return }
        closed = true
        closeReason = reason
        context.close(promise: nil)
    }

    /// Accepts no further request, answers those accepted, then closes.
    func end() {
        ending = true
        loop.markDirty(self)
    }

    func drain() {
        closeReason = "stopped"
        if let ticket = feeds.blocked?.ticket {
            endBlockedRead()
            fill(ticket, failure: nil) { $0.nullArray() }
        }
        end()
    }

    // MARK: - Reading

    /// Whether the next request may be taken up.
    private var canProceed: Bool {
        !ending && !closed && feeds.blocked == nil && slots.count < limits.pipelineMax
            && out.readableBytes < limits.outputSoftBytesMax && isWritable
    }

    private var isWritable: Bool { context?.channel.isWritable ?? false }

    /// Whether bytes may be taken from the socket: a blocked reader's are, so that its end is noticed.
    private var canRead: Bool {
        if feeds.blocked != nil { return inbound.readableBytes < limits.request.frameBytesMax }
        return canProceed
    }

    func read(context: ChannelHandlerContext) {
        if canRead { context.read() } else { readHeldBack = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.writeBuffer(&bytes)
        }
        loop.beginTurn()
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        loop.markDirty(self)
        loop.settle()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { loop.markDirty(self) }
        loop.settle()
        context.fireChannelWritabilityChanged()
    }

    /// Runs the requests that are complete; returns whether a limit holds further ones up.
    @discardableResult
    private func process() -> Bool {
        while canProceed, inbound.readableBytes > 0 {
            switch parser.parse(inbound.readableBytesUInt8Span) {
            case .incomplete:
                keepRest()
                return false
            case .failure(let error):
                counters.protocolErrors.increase()
                closeReason = "protocol error"
                reply { $0.error(error.description) }
                inbound.clear()
                end()
                return false
            case .request(let bytes):
                if !parser.arguments.isEmpty { run(frameLength: bytes) }
                inbound.moveReaderIndex(forwardBy: bytes)
            }
            if out.readableBytes >= limits.outputSoftBytesMax { flush() }
        }
        keepRest()
        return inbound.readableBytes > 0
    }

    private func run(frameLength: Int) {
        let inline = !parser.rewritten.isEmpty
        deferred = false
        dispatch(
            Request(
                buffer: inline ? ByteBuffer(bytes: parser.rewritten) : inbound,
                frameLength: inline ? 0 : frameLength, arguments: parser.arguments))
    }

    /// Lets go of the receive buffer when all of it was used, and of used bytes when many are left.
    private func keepRest() {
        if inbound.readableBytes == 0 {
            inbound = ByteBuffer()
        } else if inbound.readerIndex > 64 * 1_024 {
            inbound.discardReadBytes()
        }
    }

    // MARK: - Replies

    /// Answers the current request at once.
    func reply(_ body: (inout ReplyWriter) -> Void) {
        loop.writer.version = version
        loop.writer.removeAll()
        body(&loop.writer)
        reply(encoded: loop.writer.bytes)
    }

    func reply(encoded: [UInt8]) {
        guard !slots.isEmpty else {
            out.writeBytes(encoded)
            return
        }
        let answered = Slot(
            command: 0, version: version, frame: [], startedSeconds: loop.now,
            deadline: .distantFuture, reply: Array(encoded[...]))
        _ = slots.append(answered)
    }

    /// Opens a slot for the current request, whose reply comes later; returns its ticket.
    func open(
        frame: [UInt8] = [], milliseconds: Int?, atDeadline: Slot.AtDeadline = .timeout
    ) -> UInt64 {
        deferred = true
        let deadline =
            milliseconds.map { NIODeadline.now() + .milliseconds(Int64($0)) } ?? .distantFuture
        let ticket = slots.append(
            Slot(
                command: current?.index ?? 0, version: version, frame: frame,
                startedSeconds: loop.now, deadline: deadline, atDeadline: atDeadline))
        if deadline < nextDeadline {
            nextDeadline = deadline
            loop.arm(deadline)
        }
        return ticket
    }

    func deliver(_ delivery: Delivery) {
        guard !closed, let slot = slots.unanswered(delivery.ticket) else {
            counters.lateReplies.increase()
            return
        }
        switch delivery.body {
        case .feeds(let result): feedsRead(delivery.ticket, result)
        case .encode(let body):
            let encoded = encode(slot.version, body)
            if let tag = delivery.cacheTag, delivery.failure == nil, !slot.frame.isEmpty {
                loop.cache.insert(
                    ReplyCache.Entry(
                        request: slot.frame, reply: Array(encoded[...]), user: tag.user,
                        rung: delivery.rung,
                        version: tag.version, storedSeconds: loop.now),
                    ReplyCache.key(slot.frame.span, slot.version))
            }
            finished(slot, failure: delivery.failure, rung: delivery.rung)
            answer(delivery.ticket, encoded)
        }
    }

    /// Answers the request that holds `ticket`, if it is still unanswered.
    func fill(_ ticket: UInt64, failure: String?, _ body: (inout ReplyWriter) -> Void) {
        guard let slot = slots.unanswered(ticket) else { return }
        finished(slot, failure: failure, rung: "")
        answer(ticket, encode(slot.version, body))
    }

    private func answer(_ ticket: UInt64, _ encoded: [UInt8]) {
        slots.answer(ticket, encoded, to: &out)
        loop.markDirty(self)
    }

    private func encode(
        _ version: ProtocolVersion, _ body: (inout ReplyWriter) -> Void
    ) -> [UInt8] {
        loop.writer.version = version
        loop.writer.removeAll()
        body(&loop.writer)
        return loop.writer.bytes
    }

    private func finished(_ slot: Slot, failure: String?, rung: String) {
        let seconds = max(0, loop.now - slot.startedSeconds)
        loop.tallies.count(slot.command, seconds: seconds, failed: failure != nil)
        let command = Command.all[slot.command]
        if let failure {
            counters.errorReplies.increase()
            loop.state.observer.observe(.requestFailed(command: command.name, prefix: failure))
        } else {
            loop.state.observer.observe(
                .requestServed(command: command.name, rung: rung, seconds: seconds))
        }
        let threshold = loop.state.configuration.times.slowLogMicroseconds
        if threshold >= 0, slot.atDeadline == .timeout, seconds * 1e6 >= Double(threshold) {
            logSlow(slot, command, seconds)
        }
    }

    private func logSlow(_ slot: Slot, _ command: Command, _ seconds: Double) {
        var reader = RequestParser(limits: limits.request)
        var arguments = [command.name]
        if case .request = reader.parse(slot.frame.span) {
            arguments = reader.arguments.prefix(SlowLog.Entry.argumentsMax).map {
                let bytes = slot.frame[$0].prefix(SlowLog.Entry.argumentBytesMax)
                return String(decoding: bytes, as: UTF8.self)
            }
        }
        loop.state.slowLog.add(
            SlowLog.Entry(
                id: 0, wallSeconds: loop.state.clock.wallMilliseconds / 1_000,
                microseconds: Int(seconds * 1e6), arguments: arguments, client: client.address,
                clientName: client.name))
    }

    /// Answers what is due; called by the loop's timer.
    func expire(_ moment: NIODeadline) {
        let due = slots.due(moment)
        nextDeadline = due.next
        for ticket in due.tickets {
            guard let slot = slots.unanswered(ticket) else { continue }
            if feeds.blocked?.ticket == ticket { endBlockedRead() }
            switch slot.atDeadline {
            case .nullArray: fill(ticket, failure: nil) { $0.nullArray() }
            case .timeout:
                counters.timeouts.increase()
                let name = Command.all[slot.command].name
                fill(ticket, failure: "TIMEOUT") {
                    $0.error("TIMEOUT '\(name)' was not answered by its deadline; try again")
                }
            }
        }
    }

    // MARK: - Writing

    /// Room for a message that may be left out: nothing waits to be sent.
    var hasRoomForMessages: Bool {
        !closed && isWritable && out.readableBytes < limits.outputSoftBytesMax
    }

    func write(message encoded: [UInt8]) {
        out.writeBytes(encoded)
        loop.markDirty(self)
    }

    /// Goes on with what waited, then sends what there is.
    func settle() {
        var heldUp: Bool
        repeat {
            heldUp = process()
            flush()
        } while heldUp && canProceed
        sendWaitingMessages()
        flush()
        if ending, slots.isEmpty { return closeWhenSent() }
        if readHeldBack, canRead, let context, !closed {
            readHeldBack = false
            context.read()
        }
    }

    /// Closes once what was written has left; a peer that never reads is closed when the server stops.
    private func closeWhenSent() {
        guard !closing, !closed, let context else { return }
        closing = true
        let sent = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
        sent.futureResult.assumeIsolated().whenComplete { [self] _ in close(reason: closeReason) }
    }

    private func flush() {
        guard out.readableBytes > 0, !closed, let context else { return }
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        if out.capacity > limits.outputSoftBytesMax { out = ByteBuffer() } else { out.clear() }
        guard !context.channel.isWritable else { return }
        let unsent = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
        if (unsent ?? 0) > limits.outputHardBytesMax {
            counters.closedByOutputLimit.increase()
            close(reason: "output limit")
        }
    }
}
