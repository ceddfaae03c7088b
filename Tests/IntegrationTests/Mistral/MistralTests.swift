// Starts: RabbitMQ, a real Mistral (api, engine, executor) with the plug-in, the server, stand-in VIMs.
import Foundation
import Harness
import Testing

@Suite("Monitor actions on a real Mistral", .serialized)
struct MistralTests {
    @Test(
        "Registered, watched, moved to another endpoint and deregistered, Mistral has what is wanted",
        arguments: [Programs.mistralEnvironment, Programs.mistral15Environment])
    func sequences(environment: String) async throws {
        var options = MistralOptions()
        options.environment = environment
        let mistralOptions = options
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                try await withMistral(directory: directory, broker: broker, mistralOptions) { mistral in
                    let (data, options) = (directory + "/data", MistralFleet.options(broker, mistral))
                    try await withStandInVIM(directory: directory) { first in
                        try await withStandInVIM(directory: directory) { second in
                            let (id, _) = try await withServer(dataDirectory: data, arguments: options) {
                                try await follow(MistralFleet(server: $0, mistral: mistral), first, second)
                            }
                            let others = options + ["--monitor-timeout", "2"]
                            try await withServer(dataDirectory: data, arguments: others) {
                                try await end(MistralFleet(server: $0, mistral: mistral), id)
                            }
                        }
                    }
                }
            }
        }
    }

    private func follow(
        _ fleet: MistralFleet, _ first: RunningEndpoint, _ second: RunningEndpoint
    ) async throws -> String {
        let (server, mistral) = (fleet.server, fleet.mistral)
        // Registered: workflow and execution exist, the action runs on the executor, and reports.
        let id = try await server.register(standInVIM("on-mistral", at: first.url))
        try await server.waitForStatus("REACHABLE", of: id)
        let firstAction = try await fleet.watch(of: id).actionID
        #expect(try await fleet.workflowNames() == ["vim_id_\(id)"])
        #expect(try await fleet.executions() == [firstAction: "RUNNING"])
        #expect(mistral.logText(of: "executor").contains("as action \(firstAction)"))

        // The endpoint dies and comes back: the action says so.
        first.goDown()
        try await server.waitForStatus("UNREACHABLE", of: id)
        first.comeUp()
        try await server.waitForStatus("REACHABLE", of: id)

        // Another endpoint: the new action reports, the old one is told bad_action and exits.
        let reply = try await server.request(
            .put, "/v1.0/vims/\(id)",
            body: [
                "vim": ["auth_url": .string(second.url), "auth_cred": ["password": "demo-password"]]
            ])
        #expect(reply.status == 200, "\(reply.text)")
        let secondAction = try await fleet.watch(of: id).actionID
        #expect(secondAction != firstAction)
        try await server.waitForStatus("REACHABLE", of: id)
        try await fleet.waitForEnd(of: [firstAction])
        try await fleet.waitUntilWhole([id])
        let log = try await server.vedette("audit", "log", "--type", "vim.status_reported")
        #expect(log.output.contains("bad_action"), "\(log.output)")
        return id
    }

    private func end(_ fleet: MistralFleet, _ id: String) async throws {
        // The server was started again with other settings: running actions do not have them.
        let reason = "reason=settings_changed"
        try await eventually("the action gets a successor") {
            try await fleet.assignments(of: id).last?.contains(reason) == true
        }
        try await fleet.waitUntilWhole([id])
        let lastAction = try await fleet.watch(of: id).actionID
        try await eventually("the successor watches") { try await fleet.watch(of: id).reportedAt != nil }
        let input = try await fleet.get("/v2/executions/\(lastAction)")["input"].string ?? ""
        #expect(try JSON(text: input)["timeout"].integer == 2, "\(input)")

        // Deregistered: execution and workflow are gone, the action has exited and its thread is free.
        try await fleet.deregister(id)
        try await fleet.waitForEnd(of: [lastAction])
        try await fleet.waitUntilWhole([])
    }

    @Test(
        "The plug-in's own tests pass with the libraries of both generations",
        arguments: [
            (Programs.mistralEnvironment, ""),
            // Its executors run on eventlet, with sockets, threads and clocks replaced.
            (Programs.mistral15Environment, "import eventlet; eventlet.monkey_patch()"),
        ])
    func plugIn(environment: String, preparation: String) async throws {
        let python = environment + "/bin/python3"
        let tests = Programs.repository + "/tools/mistral-plugin/tests"
        let program = "\(preparation)\nimport unittest; unittest.main(module=None)"
        let finished = try await run(
            python, ["-c", program, "discover", "-s", tests],
            environment: ["PYTHONDONTWRITEBYTECODE": "1"])
        #expect(finished.exitCode == 0, "\(finished.errorOutput)")
        #expect(finished.errorOutput.contains("Ran ") && !finished.errorOutput.contains("Ran 0 tests"))
    }

    @Test("Options for Mistral that make no sense are refused in words")
    func options() async throws {
        try await withTemporaryDirectory { directory in
            let broker = ["--rabbitmq", "rabbit://nowhere/"]
            let cases: [([String], String)] = [
                (["--workflows", "mistral"], "--rabbitmq"),
                (["--workflows", "mistral"] + broker, "--mistral-url"),
                (["--workflows", "mistral", "--mistral-url", "controller"] + broker, "no URL"),
                (["--mistral-auth-url", "http://k"], "--mistral-url"),
                (
                    ["--mistral-url", "http://m", "--mistral-auth-url", "http://k"],
                    "--mistral-user-name"
                ),
                (
                    [
                        "--mistral-url", "http://m", "--mistral-auth-url", "http://k",
                        "--mistral-user-name", "u", "--mistral-project", "p",
                    ], "--mistral-password-file"
                ),
            ]
            for (arguments, words) in cases {
                let finished = try await runVedette(
                    ["serve", "--data-directory", directory + "/data"] + arguments)
                #expect(finished.exitCode == 2, "\(arguments)")
                #expect(finished.errorOutput.contains(words), "\(arguments): \(finished.errorOutput)")
            }
        }
    }
}
