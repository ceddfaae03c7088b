// Starts: RabbitMQ, the server, unmodified oslo.messaging clients; kills them.
import Foundation
import Harness
import Testing

@Suite("RPC through the deaths of broker and conductor")
struct RPCFaultTests {
    @Test("A conductor that is killed under load loses no call: the next one answers")
    func conductorKilled() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                let data = directory + "/data"
                let vim = try await withServer(dataDirectory: data, arguments: rpcOptions(broker.url)) {
                    try await $0.waitForBroker()
                    return try await $0.registerWatched()
                }.result
                let counts = try await Oslo.generation18.load(
                    at: broker.url, on: vim, timeout: 60, in: directory
                ) { load in
                    for _ in 0..<3 {
                        try await withServer(dataDirectory: data, arguments: rpcOptions(broker.url)) {
                            try await load.progress(by: 100)
                            $0.process.signal(SIGKILL)
                            return
                        }
                    }
                    try await withServer(dataDirectory: data, arguments: rpcOptions(broker.url)) {
                        try await load.progress(by: 100)
                        try write("", to: load.stopFile)
                        // The calls under way are still answered by this one.
                        try await $0.waitForBroker()
                        try await Task.sleep(for: .seconds(2))
                        _ = $0
                    }
                }
                #expect(Set(counts.keys) == ["REACHABLE"], "\(counts)")
                try await withServer(dataDirectory: data) { server in
                    // An answer without its event would be a lie; an event whose answer was lost is none.
                    let stored = try await server.reachableReportCount()
                    #expect(stored >= counts["REACHABLE"] ?? .max)
                }
            }
        }
    }

    @Test("The server starts without a broker, says so once, and survives the broker's crash under load")
    func brokerKilled() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                try await broker.stop()
                try await withServer(
                    dataDirectory: directory + "/data", arguments: rpcOptions(broker.url)
                ) { server in
                    let vim = try await server.registerWatched()
                    try await Task.sleep(for: .seconds(2))
                    let complaints = server.process.logText().components(
                        separatedBy: "no connection to the broker")
                    #expect(complaints.count == 2)
                    try await broker.start()
                    try await server.waitForBroker()
                    let counts = try await Oslo.generation18.load(
                        at: broker.url, on: vim, timeout: 5, in: directory
                    ) { load in
                        try await load.progress(by: 50)
                        try await broker.kill9()
                        try await broker.start()
                        try await server.waitForBroker(times: 2)
                        try await load.progress(by: 50)
                    }
                    // What was under way then may time out at the client, or it says that it cannot reach
                    // the broker, in oslo.messaging's words or (rarely) kombu's; nothing else goes wrong.
                    let allowed: Set<String> = [
                        "REACHABLE", "MessagingTimeout", "MessageDeliveryFailure", "OperationalError",
                    ]
                    #expect(Set(counts.keys).isSubset(of: allowed), "\(counts)")
                    let stored = try await server.reachableReportCount()
                    #expect(stored >= counts["REACHABLE"] ?? .max)
                    #expect(server.process.logText().contains("the connection to the broker is lost"))
                    #expect(try await server.request(.get, "/healthz/live").status == 200)
                }
            }
        }
    }

    @Test("A second server on the data directory is refused in words, before it touches the broker")
    func secondServer() async throws {
        try await withTemporaryDirectory { directory in
            let url = "rabbit://vim:s3cret@127.0.0.1:\(try freePorts(count: 1)[0])/"
            let data = directory + "/data"
            try await withServer(dataDirectory: data, arguments: rpcOptions(url)) { server in
                let second = try await runVedette(
                    ["serve", "--data-directory", data, "--listen", "127.0.0.1:0"] + rpcOptions(url))
                #expect(second.exitCode == 1)
                #expect(second.errorOutput.contains("process \(server.process.id)"), "\(second.errorOutput)")
                #expect(!second.errorOutput.contains("broker"))
                try await eventually("the first says that there is no broker") {
                    server.process.logText().contains("no connection to the broker")
                }
                #expect(!server.process.logText().contains("s3cret"))
            }
        }
    }

    @Test(
        "Options that make no sense are refused in words",
        arguments: [
            (["--rabbitmq", "http://vim:s3cret@h/"], "rabbit, amqp and amqps"),
            (["--rabbitmq", "rabbit://vim:s3cret@h:0/"], "is no port"),
            (["--rabbitmq", "rabbit://h", "--rpc-prefetch", "0"], "--rpc-prefetch"),
            (["--rabbitmq", "rabbit://h", "--rpc-topic", ""], "--rpc-topic"),
            (["--rabbitmq", "rabbit://h", "--amqp-ca-file", "ca.pem"], "amqps://"),
            (["--rabbitmq", "amqps://h", "--amqp-ca-file", "nowhere.pem"], "nowhere.pem"),
            (["--amqp-durable"], "--rabbitmq"), (["--rpc-topic", "T"], "--rabbitmq"),
        ])
    func refused(flags: [String], words: String) async throws {
        try await withTemporaryDirectory { directory in
            let finished = try await runVedette(
                ["serve", "--data-directory", directory + "/data"] + flags)
            #expect(finished.exitCode == 2)
            #expect(finished.errorOutput.contains(words), "\(finished.errorOutput)")
            #expect(!finished.errorOutput.contains("s3cret"))
        }
    }
}
