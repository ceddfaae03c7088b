import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import EtcdClient

/// Answers as it is told and remembers what it was asked: for what no real etcd does when a test wants it.
final class ScriptedEtcd: Sendable {
    struct Call: Hashable, Sendable {
        var path: String
        var token: String?
        var body: String
    }

    /// Nil means that it does not answer while the test runs.
    typealias Answer = @Sendable (Call) -> (status: Int, body: String)?

    private let calls = Mutex<[Call]>([])
    private let isOver = Atomic(false)

    var seen: [Call] { calls.withLock { $0 } }
    var paths: [String] { seen.map(\.path) }

    /// Runs one while `test` runs; `test` gets it with its URL.
    static func run(
        _ answer: @escaping Answer, _ test: @Sendable (ScriptedEtcd, _ url: String) async throws -> Void
    ) async throws {
        let etcd = ScriptedEtcd()
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            let body = try await request.body.collect(upTo: 1 << 20)
            let call = Call(
                path: request.uri.path, token: request.headers[.authorization], body: String(buffer: body))
            etcd.calls.withLock { $0.append(call) }
            guard let reply = answer(call) else {
                while !etcd.isOver.load(ordering: .relaxed) { try await Task.sleep(for: .milliseconds(10)) }
                return Response(status: .ok)
            }
            return Response(
                status: .init(code: reply.status), body: .init(byteBuffer: ByteBuffer(string: reply.body)))
        }
        let application = Application(
            responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: 0)))
        try await application.test(.live) { client in
            defer { etcd.isOver.store(true, ordering: .relaxed) }
            try await test(etcd, "http://127.0.0.1:\(try #require(client.port))")
        }
    }

    /// The beginning of every answer.
    static func header(revision: Int = 1, term: Int = 2) -> String {
        #""header":{"cluster_id":"9","member_id":"8","revision":"\#(revision)","raft_term":"\#(term)"}"#
    }
}

/// Runs `body` with a client of these settings.
func withClient<Result: Sendable>(
    _ settings: EtcdSettings, _ body: (EtcdClient) async throws -> Result
) async throws -> Result {
    let client = try EtcdClient(settings)
    do {
        let result = try await body(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}

/// The fault that a call ends with; nil if it ends well.
func failure<Result: Sendable>(_ call: () async throws -> Result) async -> EtcdFault? {
    do {
        _ = try await call()
        return nil
    } catch let fault as EtcdFault { return fault } catch {
        Issue.record("not a fault of etcd: \(error)")
        return nil
    }
}
