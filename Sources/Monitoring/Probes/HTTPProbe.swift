import NIOCore
import NIOHTTP1
import NIOSSL
import NIOTLS
import Registry

/// GET of Keystone's version document: anything from 200 to 399 is an answer.
///
/// Redirects are not followed: they are answers of the endpoint that was asked for.
enum HTTPProbe {
    static func run(_ order: ProbeOrder, _ bench: ProbeBench) async -> ProbeOutcome {
        guard let target = ProbeTarget(keystoneURL(order.authURL)) else { return .unusableURL }
        // Only TLS needs to know anything of the credentials: `cert_verify` and the CA.
        let access = target.isSecure ? await bench.access(for: order) : VIMAccess()
        return await HTTPExchange.run(
            order, bench: bench, target: target, path: target.path, tls: access.tls, authorization: nil,
            counts: { (200..<400).contains($0) })
    }

    /// Where version 3 answers: kept if the text ends so, else `/v3` after one slash, as the driver does at
    /// registration.
    static func keystoneURL(_ text: String) -> String {
        if text.hasSuffix("v3") || text.hasSuffix("v3/") { return text }
        var base = Substring(text)
        while base.hasSuffix("/") { base.removeLast() }
        return base + "/v3"
    }
}

/// GET of `/version` with the VIM's credentials and CA.
///
/// With credentials, 401 is a failure: the cluster no longer takes what was registered, and a VIM that
/// cannot be used is not reachable. 403 is an answer: who asks is known, and may be denied `/version`.
/// Without credentials (OIDC: a token would have to be fetched from a third party, whose failure says nothing
/// of the cluster) 401 is an answer too: it is the API server that gave it.
enum KubernetesProbe {
    static func run(_ order: ProbeOrder, _ bench: ProbeBench) async -> ProbeOutcome {
        guard let target = ProbeTarget(order.authURL) else { return .unusableURL }
        let access = await bench.access(for: order)
        let isAuthorized = access.authorization != nil
        var path = Substring(target.path)
        while path.hasSuffix("/") { path.removeLast() }
        return await HTTPExchange.run(
            order, bench: bench, target: target, path: path + "/version", tls: access.tls,
            authorization: access.authorization,
            counts: { (200..<400).contains($0) || $0 == 403 || ($0 == 401 && !isAuthorized) })
    }
}

/// One GET over one fresh connection.
enum HTTPExchange {
    /// An answer's head may take no more; nothing is read after it.
    static let answerBytesMax = 64 * 1_024

    static func run(
        _ order: ProbeOrder, bench: ProbeBench, target: ProbeTarget, path: String, tls: TLSProfile,
        authorization: String?, counts: @escaping @Sendable (Int) -> Bool
    ) async -> ProbeOutcome {
        var context: NIOSSLContext?
        if target.isSecure {
            do {
                context = try bench.tlsContexts.context(for: tls)
            } catch {
                return ProbeOutcome(
                    .failed, ProbeFinding(.proberFailed), explanation: "TLS cannot be set up: \(error)")
            }
        }
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
        head.headers = [
            "Host": target.hostHeader, "Accept": "application/json", "User-Agent": "vedette",
            "Connection": "close",
        ]
        if let authorization { head.headers.add(name: "Authorization", value: authorization) }
        // SNI is for names; NIOSSL checks addresses against the certificate by the peer's own.
        let isAddress = (try? SocketAddress(ipAddress: target.host, port: 0)) != nil
        let name = isAddress ? nil : target.host
        let (request, secure) = (head, context)
        // The clock starts here: what it took to learn the credentials was this machine's own time.
        let trace = bench.trace(order)
        return await trace.outcome {
            Connection(
                trace: trace, resolver: bench.resolver, target: target,
                initializer: { channel in
                    let pipeline = channel.pipeline.syncOperations
                    if let secure {
                        try pipeline.addHandler(NIOSSLClientHandler(context: secure, serverHostname: name))
                    }
                    try pipeline.addHandler(ReadLimit(bytesMax: answerBytesMax))
                    try pipeline.addHandler(HTTPRequestEncoder())
                    try pipeline.addHandler(
                        ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes)))
                    try pipeline.addHandler(
                        ExchangeHandler(
                            trace: trace, head: request, isSecure: secure != nil, counts: counts))
                },
                close: closeAtOnce
            ).open()
        }
    }

    /// Closes below the TLS handler, which would wait for the peer's farewell.
    private static let closeAtOnce: @Sendable (any Channel) -> Void = { channel in
        channel.eventLoop.execute {
            let pipeline = channel.pipeline.syncOperations
            if let context = try? pipeline.context(handlerType: NIOSSLClientHandler.self) {
                context.close(promise: nil)
            } else {
                channel.close(promise: nil)
            }
        }
    }
}

/// Ends a connection that sends more than it may.
private final class ReadLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let bytesMax: Int
    private var byteCount = 0

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        byteCount += unwrapInboundIn(data).readableBytes
        if byteCount > bytesMax { context.fireErrorCaught(ReadTooLong()) }
        context.fireChannelRead(data)
    }
}

/// Sends the request when the connection stands, and ends the probe at the answer's head or the first error.
private final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let trace: ProbeTrace
    private let head: HTTPRequestHead
    private let isSecure: Bool
    private let counts: @Sendable (Int) -> Bool

    init(
        trace: ProbeTrace, head: HTTPRequestHead, isSecure: Bool, counts: @escaping @Sendable (Int) -> Bool
    ) {
        self.trace = trace
        self.head = head
        self.isSecure = isSecure
        self.counts = counts
    }

    func channelActive(context: ChannelHandlerContext) {
        if isSecure { trace.enter(.tls) } else { send(context) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { send(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let answer) = unwrapInboundIn(data) else { return }
        let code = Int(answer.status.code)
        let counted = counts(code)
        trace.finish(
            counted ? .answered : .failed, counted ? .answered : .httpStatus, detail: UInt16(clamping: code))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        trace.finish(ConnectionFailure(error, in: trace.phase ?? .connect))
    }

    func channelInactive(context: ChannelHandlerContext) {
        trace.finish(.failed, .connectionClosed, explanation: "the endpoint closed the connection")
        context.fireChannelInactive()
    }

    private func send(_ context: ChannelHandlerContext) {
        trace.enter(.answer)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
