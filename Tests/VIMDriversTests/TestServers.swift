import Encodings
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import HummingbirdTesting
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import VIMDrivers

/// What a test server was asked.
struct SeenRequest: Hashable, Sendable {
    var method: String
    var path: String
    var headers: [String: String]
    var body: String
}

/// Small servers on loopback that stand for VIMs.
enum TestServer {
    typealias Answer = @Sendable (SeenRequest) -> Response

    /// Runs a server while `test` runs; `test` gets its port and what it was asked so far.
    static func run<Result: Sendable>(
        tls: TLSConfiguration? = nil, _ answer: @escaping Answer,
        _ test: @Sendable (_ port: Int, _ seen: @Sendable () -> [SeenRequest]) async throws -> Result
    ) async throws -> Result {
        let log = Log()
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            let body = try await request.body.collect(upTo: 1 << 20)
            var headers: [String: String] = [:]
            for field in request.headers { headers[field.name.canonicalName] = field.value }
            let seen = SeenRequest(
                method: request.method.rawValue, path: request.uri.string, headers: headers,
                body: String(buffer: body))
            log.add(seen)
            return answer(seen)
        }
        let builder: HTTPServerBuilder = try tls.map { try .tls(.http1(), tlsConfiguration: $0) } ?? .http1()
        let application = Application(
            responder: responder, server: builder,
            configuration: .init(address: .hostname("127.0.0.1", port: 0)))
        return try await application.test(.live) { client in
            try await test(try #require(client.port)) { log.all }
        }
    }

    /// Runs a server that takes connections and says nothing, or what is given and nothing more.
    static func raw<Result: Sendable>(
        saying text: String? = nil, _ test: @Sendable (_ port: Int) async throws -> Result
    ) async throws -> Result {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let text { try channel.pipeline.syncOperations.addHandler(Speaker(text: text)) }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        do {
            let result = try await test(port)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// A port on which nobody listens.
    static func closedPort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        try await channel.close()
        return port
    }

    /// Says one thing to whoever connects, and hangs up.
    private final class Speaker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let text: String
        init(text: String) { self.text = text }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            context.close(promise: nil)
        }
    }

    private final class Log: Sendable {
        private let requests = Mutex<[SeenRequest]>([])
        var all: [SeenRequest] { requests.withLock { $0 } }
        func add(_ request: SeenRequest) { requests.withLock { $0.append(request) } }
    }
}

extension Response {
    static func json(
        _ body: JSONValue, status: HTTPResponse.Status = .ok, headers: HTTPFields = HTTPFields()
    ) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        return Response(
            status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body.encoded)))
    }

    static func keystoneError(_ code: Int, _ message: String) -> Response {
        var headers = HTTPFields()
        if let name = HTTPField.Name("x-openstack-request-id") { headers[name] = "req-abc" }
        return .json(
            ["error": ["code": .integer(Int64(code)), "message": .string(message), "title": "t"]],
            status: .init(code: code), headers: headers)
    }
}

/// Runs with a client and shuts it down.
func withClient<Result: Sendable>(
    _ limits: VIMContactLimits = VIMContactLimits(),
    _ test: (VIMHTTPClient) async throws -> Result
) async throws -> Result {
    let client = VIMHTTPClient(limits: limits)
    do {
        let result = try await test(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}

/// What a driver says of a contact.
func failure(
    of driver: some VIMDriver, _ contact: VIMContact
) async -> VIMDriverError? {
    do {
        _ = try await driver.placement(of: contact)
        return nil
    } catch {
        return error
    }
}
