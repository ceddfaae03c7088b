// Starts: RabbitMQ, the server, unmodified oslo.messaging clients of two generations.
import Foundation
import Harness
import Testing

@Suite("Monitor actions over RabbitMQ")
struct OsloClientTests {
    @Test("Unmodified oslo.messaging clients get from the conductor what a server of theirs would give")
    func calls() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                try await withServer(
                    dataDirectory: directory + "/data", arguments: rpcOptions(broker.url)
                ) { server in
                    try await server.waitForBroker()
                    for oslo in Oslo.allCases {
                        try await everyCall(oslo, server, broker, directory)
                    }
                    try await badMessages(server, broker)
                }
            }
        }
    }

    private func everyCall(
        _ oslo: Oslo, _ server: RunningServer, _ broker: RunningBroker, _ directory: String
    ) async throws {
        let vim = try await server.registerWatched("watched-\(oslo.rawValue)")
        let stale = WatchedVIM(id: vim.id, actionID: UUID().uuidString)
        let before = try await server.reachableReportCount()
        let host = ProcessInfo.processInfo.hostName
        let answers = try await oslo.calls(
            [
                vim.report("reachable"), vim.report("unreachable", status: "UNREACHABLE"),
                stale.report("stale"),
                WatchedVIM(id: UUID().uuidString, actionID: vim.actionID).report("unknown"),
                vim.report("server", ["target": ["server": .string(host)]]),
                vim.report("cast", ["cast": true]),
                vim.report("fanout", ["cast": true, "target": ["fanout": true]]),
                vim.report("monitored", ["prepare": ["call_monitor_timeout": 3]]),
                vim.report("newer", ["target": ["version": "1.1"]]),
                vim.report("too new", ["target": ["version": "1.9"]]),
                vim.report("other major", ["target": ["version": "2.0"]]),
                vim.report("namespace", ["target": ["namespace": "nfv"]]),
                ["name": "no method", "method": "kill_action", "args": [:]],
                vim.report("bad status", status: "SLEEPING"), vim.report("no text", status: 7),
                [
                    "name": "no action", "method": "update_vim",
                    "args": ["vim_id": .string(vim.id), "status": "REACHABLE"],
                ],
            ], at: broker.url, in: directory)
        for name in ["reachable", "server", "monitored", "newer"] {
            #expect(answers[name]["result"].string == "REACHABLE", "\(oslo) \(name): \(answers[name])")
        }
        #expect(answers["unreachable"]["result"].string == "UNREACHABLE")
        for name in ["stale", "unknown"] { #expect(answers[name]["result"].string == "bad_action") }
        for name in ["too new", "other major", "namespace"] {
            #expect(answers[name]["type"].string == "UnsupportedVersion", "\(name): \(answers[name])")
        }
        #expect(answers["no method"]["type"].string == "NoSuchMethod")
        #expect(answers["bad status"]["error"].string == "ValueError")
        for name in ["no text", "no action"] {
            #expect(answers[name]["error"].string == "TypeError", "\(name): \(answers[name])")
        }
        // Four calls and two casts said REACHABLE, each once.
        try await eventually("the casts arrive") { try await server.reachableReportCount() == before + 6 }
    }

    private func badMessages(_ server: RunningServer, _ broker: RunningBroker) async throws {
        let vim = try await server.registerWatched("bad-messages")
        let before = try await server.reachableReportCount()
        let finished = try await run(
            Oslo.generation18.python, [Oslo.script("publish_raw"), broker.url, vim.id, vim.actionID])
        #expect(finished.exitCode == 0, "\(finished.errorOutput)")
        let told = try JSON(text: finished.output)
        #expect(told["answerable"] == [true, true, true])
        let refused = server.process.logText()
        #expect(!refused.contains("the connection to the broker is lost"), "\(refused)")
        #expect(told["duplicates"] == ["REACHABLE"])
        #expect(told["late"] == ["REACHABLE"])
        // The copies, the late one and the one whose client is gone.
        try await eventually("all reports are stored") {
            try await server.reachableReportCount() == before + 3
        }
        #expect(server.process.logText().contains("a message could not be read"))
        // All of it is acknowledged: nothing comes back for ever.
        let queues = try await broker.control("list_queues", "name", "messages")
        #expect(queues.contains("TACKER_CONDUCTOR\t0"), "\(queues)")
    }

    @Test(
        "Reports without an action id, as Tacker's last release sent them, are taken if the server is told so"
    )
    func withoutAction() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                try await withServer(
                    dataDirectory: directory + "/data",
                    arguments: rpcOptions(broker.url, "--accept-reports-without-action")
                ) { server in
                    try await server.waitForBroker()
                    let vim = try await server.registerWatched()
                    let answers = try await Oslo.generation14.calls(
                        [vim.id, UUID().uuidString].map { id in
                            [
                                "name": .string(id), "method": "update_vim",
                                "args": ["vim_id": .string(id), "status": "REACHABLE"],
                            ]
                        }, at: broker.url, in: directory)
                    #expect(answers[vim.id]["result"].string == "REACHABLE")
                    #expect(answers.object.values.count { $0["result"].string == "bad_action" } == 1)
                    #expect(try await server.reachableReportCount() == 1)
                }
                try await declarations(broker, directory)
            }
        }
    }

    /// Durable and quorum declarations, clients of both kinds, and what is there with other properties.
    private func declarations(_ broker: RunningBroker, _ directory: String) async throws {
        let durableClient = "[oslo_messaging_rabbit]\namqp_durable_queues = true\n"
        let quorumClient = "[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\n"
        // The second server of a topic meets what the first has declared: a 406, either way.
        let cases: [(topic: String, servers: [[String]], client: String?)] = [
            ("plain", [[], ["--amqp-durable"]], nil),
            ("durable", [["--amqp-durable"], []], durableClient),
            ("quorum", [["--amqp-quorum"]], quorumClient),
        ]
        for (topic, servers, client) in cases {
            for (index, flags) in servers.enumerated() {
                let names = ["--rpc-exchange", "x-\(topic)", "--rpc-topic", topic]
                try await withServer(
                    dataDirectory: directory + "/\(topic)-\(index)",
                    arguments: rpcOptions(broker.url) + names + flags
                ) { server in
                    try await server.waitForBroker()
                    let vim = try await server.registerWatched()
                    let target: JSON = ["exchange": .string("x-\(topic)"), "topic": .string(topic)]
                    let answers = try await Oslo.generation18.calls(
                        [vim.report("report", ["target": target])], at: broker.url, configuration: client,
                        in: directory)
                    #expect(
                        answers["report"]["result"].string == "REACHABLE",
                        "\(topic) \(flags): \(answers) \(server.process.logText())")
                    let said = server.process.logText().contains("declared already with other properties")
                    #expect(said == (index > 0), "\(topic) \(flags): \(server.process.logText())")
                }
            }
        }
        let queues = try await broker.control("list_queues", "name", "durable", "type")
        #expect(queues.contains("plain\tfalse\tclassic"), "\(queues)")
        #expect(queues.contains("durable\ttrue\tclassic"))
        #expect(queues.contains("quorum\ttrue\tquorum"))
    }
}
