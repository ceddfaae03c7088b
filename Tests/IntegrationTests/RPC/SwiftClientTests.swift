// Starts: RabbitMQ, the server, a real oslo.messaging server; calls them with our own client.
import AMQP
import Encodings
import Foundation
import Harness
import Logging
import OsloMessaging
import Testing

@Suite("Our own oslo.messaging client")
struct SwiftClientTests {
    @Test("It calls our server and a real oslo.messaging server, and outlives the broker")
    func calls() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                let client = RPCClient(
                    try BrokerURL(broker.url), name: "test-client", logger: Logger(label: "test"))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await client.run() }
                    try await ours(client, broker, directory)
                    try await theirs(client, broker, directory)
                    try await nobody(client)
                    group.cancelAll()
                }
                await #expect(throws: RPCCallError.notTaken) {
                    try await client.call(conductor, "update_vim", [:], timeout: .seconds(1))
                }
            }
        }
    }

    private let conductor = RPCTarget(exchange: "tacker", topic: "TACKER_CONDUCTOR")

    private func ours(_ client: RPCClient, _ broker: RunningBroker, _ directory: String) async throws {
        try await withServer(dataDirectory: directory + "/data", arguments: rpcOptions(broker.url)) {
            server in
            let vim = try await server.registerWatched()
            let good: [String: JSONValue] = [
                "vim_id": .string(vim.id), "status": "UNREACHABLE", "action_id": .string(vim.actionID),
                "finding": ["reason": "timed_out", "detail": 2, "microseconds": 5_000_000],
            ]
            // Possibly before the server has declared its queue: the call is tried until it has.
            #expect(try await report(client, good) == "UNREACHABLE")
            let events = try await server.auditLog().events("vim.status_reported")
            #expect(events.contains { $0["reason"].string == "timed out in connect" }, "\(events)")
            #expect(try await report(client, good.merging(["action_id": "a"]) { $1 }) == "bad_action")
            let failure = await #expect(throws: RPCCallError.self) {
                try await report(client, good.merging(["status": "ASLEEP"]) { $1 })
            }
            guard case .remote(let said) = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            #expect(said.className == "ValueError")

            // Many at once, on one connection.
            try await withThrowingTaskGroup(of: JSONValue.self) { group in
                for _ in 0..<500 { group.addTask { try await report(client, good) } }
                for try await answer in group { #expect(answer == "UNREACHABLE") }
            }

            try await broker.kill9()
            async let early = report(client, good)
            try await broker.start()
            #expect(try await early == "UNREACHABLE")
        }
    }

    private func report(_ client: RPCClient, _ arguments: [String: JSONValue]) async throws -> JSONValue {
        try await client.call(
            conductor, "update_vim", arguments, version: RPCVersion(1, 1), timeout: .seconds(60))
    }

    private func theirs(_ client: RPCClient, _ broker: RunningBroker, _ directory: String) async throws {
        let ready = directory + "/peer-ready"
        try await withProcess(
            Oslo.generation18.python, [Oslo.script("oslo_server"), broker.url, "peer-topic", ready],
            log: directory + "/peer.log"
        ) { process in
            try await eventually("the peer serves") { FileManager.default.fileExists(atPath: ready) }
            let peer = RPCTarget(exchange: "tacker", topic: "peer-topic")
            let value: JSONValue = ["text": "é\"\\\u{1}😀", "list": [1, .number(2.5), nil, true]]
            for target in [peer, RPCTarget(exchange: "tacker", topic: "peer-topic", server: "peer")] {
                let echo = try await client.call(
                    target, "echo", ["value": value], version: RPCVersion(1, 1), timeout: .seconds(30))
                #expect(echo == value)
            }
            let failures = await [
                failure(client, peer, "fail", ["message": "no such thing"]),
                failure(client, peer, "nothing", [:]),
                failure(client, peer, "echo", ["value": 1], version: RPCVersion(2, 0)),
            ]
            #expect(failures == ["LookupError", "NoSuchMethod", "UnsupportedVersion"])
            await #expect(throws: RPCCallError.timedOut(method: "sleep")) {
                try await client.call(peer, "sleep", ["seconds": 3], timeout: .milliseconds(500))
            }
            process.signal(SIGKILL)
        }
    }

    private func failure(
        _ client: RPCClient, _ target: RPCTarget, _ method: String, _ arguments: [String: JSONValue],
        version: RPCVersion = RPCVersion(1, 0)
    ) async -> String {
        do {
            return
                "\(try await client.call(target, method, arguments, version: version, timeout: .seconds(30)))"
        } catch {
            if case .remote(let failure) = error { return failure.className }
            return "\(error)"
        }
    }

    private func nobody(_ client: RPCClient) async throws {
        let target = RPCTarget(exchange: "tacker", topic: "nobody-listens")
        await #expect(throws: RPCCallError.timedOut(method: "hello")) {
            try await client.call(target, "hello", [:], timeout: .milliseconds(700))
        }
        let call = Task { try await client.call(target, "hello", [:], timeout: .seconds(600)) }
        call.cancel()
        await #expect(throws: RPCCallError.cancelled) { try await call.value }
    }
}
