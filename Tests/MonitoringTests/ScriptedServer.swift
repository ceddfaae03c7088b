import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A listener on loopback that does one thing with every connection, and remembers what it was sent.
final class ScriptedServer: Sendable {
    enum Script: Sendable {
        /// Answers the first bytes with these, and leaves the connection open.
        case answer(String)
        /// Answers the first bytes with these, and closes.
        case answerAndClose(String)
        /// Accepts and says nothing, whatever comes.
        case silence
        /// Closes as soon as something comes.
        case close
        /// Resets each connection as soon as it stands.
        case reset
        /// Answers the first bytes with a head that never ends.
        case endlessHead
    }

    static let okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    static func status(_ code: Int, headers: String = "") -> Script {
        .answer("HTTP/1.1 \(code) Some Words\r\n\(headers)Content-Length: 0\r\n\r\n")
    }

    let port: Int
    private let channel: any Channel
    private let log: RequestLog

    private init(channel: any Channel, log: RequestLog) {
        self.channel = channel
        self.log = log
        port = channel.localAddress?.port ?? 0
    }

    /// Listens while `body` runs.
    static func with<Result>(
        _ script: Script, host: String = "127.0.0.1", certificate: (certificate: String, key: String)? = nil,
        _ body: (ScriptedServer) async throws -> Result
    ) async throws -> Result {
        let log = RequestLog()
        var context: NIOSSLContext?
        if let certificate {
            let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.certificate.utf8))
            let key = try NIOSSLPrivateKey(bytes: Array(certificate.key.utf8), format: .pem)
            context = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key)))
        }
        let secure = context
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let secure {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: secure))
                    }
                    try channel.pipeline.syncOperations.addHandler(ScriptHandler(script: script, log: log))
                }
            }
            .bind(host: host, port: 0).get()
        let server = ScriptedServer(channel: channel, log: log)
        do {
            let result = try await body(server)
            try await channel.close().get()
            return result
        } catch {
            try? await channel.close().get()
            throw error
        }
    }

    /// Everything all connections sent, decrypted.
    var received: String { log.text.withLock { $0 } }

    private final class RequestLog: Sendable {
        let text = Mutex("")
    }

    private final class ScriptHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let script: Script
        private let log: RequestLog
        private var hasAnswered = false

        init(script: Script, log: RequestLog) {
            self.script = script
            self.log = log
        }

        func channelActive(context: ChannelHandlerContext) {
            guard case .reset = script else { return }
            let channel = context.channel
            (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete
            {
                _ in channel.close(promise: nil)
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            log.text.withLock { $0 += String(buffer: bytes) }
            guard !hasAnswered else { return }
            hasAnswered = true
            switch script {
            case .answer(let text): write(text, context)
            case .answerAndClose(let text):
                write(text, context)
                context.close(promise: nil)
            case .silence, .reset: break
            case .close: context.close(promise: nil)
            case .endlessHead:
                write("HTTP/1.1 200 OK\r\n", context)
                for number in 0..<2_000 {
                    write("X-Header-\(number): \(String(repeating: "x", count: 80))\r\n", context)
                }
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func write(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(
                wrapOutboundOut(context.channel.allocator.buffer(string: text)), promise: nil)
        }
    }
}

/// A port of 127.0.0.1 on which nobody listens: one that was free a moment ago.
func unusedPort(host: String = "127.0.0.1") async throws -> Int {
    try await ScriptedServer.with(.silence, host: host) { $0.port }
}
