import HTTPTypes
import Hummingbird
import HummingbirdTesting
import KeystoneClient
import NIOCore
import Synchronization
import Testing

@testable import MistralClient

/// A service on loopback that answers as it is told and remembers what it was asked.
final class ScriptedService: Sendable {
    struct Call: Hashable, Sendable {
        var line: String
        var token: String?
        var body: String
    }

    typealias Answer = @Sendable (Call) -> (status: Int, body: String, token: String?)

    private let calls = Mutex<[Call]>([])

    var seen: [Call] { calls.withLock { $0 } }
    var lines: [String] { seen.map(\.line) }

    /// Runs a service while `test` runs; `test` gets it with its URL.
    static func run(
        _ answer: @escaping Answer,
        _ test: @Sendable (ScriptedService, _ url: String, ServiceConnection) async throws -> Void
    ) async throws {
        let service = ScriptedService()
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            let body = try await request.body.collect(upTo: 1 << 20)
            let call = Call(
                line: "\(request.method.rawValue) \(request.uri.string)",
                token: HTTPField.Name("X-Auth-Token").flatMap { request.headers[$0] },
                body: String(buffer: body))
            service.calls.withLock { $0.append(call) }
            let reply = answer(call)
            var response = Response(
                status: .init(code: reply.status), body: .init(byteBuffer: ByteBuffer(string: reply.body)))
            if let token = reply.token, let name = HTTPField.Name("X-Subject-Token") {
                response.headers[name] = token
            }
            return response
        }
        let application = Application(
            responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: 0)))
        try await application.test(.live) { client in
            let connection = try ServiceConnection(timeout: .seconds(20))
            let url = "http://127.0.0.1:\(try #require(client.port))"
            do { try await test(service, url, connection) } catch {
                await connection.shutdown()
                throw error
            }
            await connection.shutdown()
        }
    }
}
