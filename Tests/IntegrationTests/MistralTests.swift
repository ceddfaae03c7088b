// Starts: RabbitMQ, a real Mistral (api, engine, executor) with the plug-in, the server, stand-in VIMs.
import Foundation
import Harness
import Testing

@Suite("Monitor actions on a real Mistral", .serialized)
struct MistralTests {
    @Test("Registered, watched, moved to another endpoint and deregistered, Mistral has what is wanted")
    func sequences() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                try await withMistral(directory: directory, broker: broker) { mistral in
                    let options = mistralOptions(broker, mistral)
                    try await withServer(dataDirectory: directory + "/data", arguments: options) { server in
                        try await withStandInVIM(directory: directory) { first in
                            try await withStandInVIM(directory: directory) { second in
                                try await follow(server, mistral, first, second)
                            }
                        }
                    }
                }
            }
        }
    }

    private func follow(
        _ server: RunningServer, _ mistral: RunningMistral, _ first: RunningEndpoint,
        _ second: RunningEndpoint
    ) async throws {
        // Registered: workflow and execution exist, the action runs on the executor, and reports.
        let id = try await server.register(standInVIM("on-mistral", at: first.url))
        try await server.waitForStatus("REACHABLE", of: id)
        let firstAction = try await actionID(server, id)
        #expect(try await workflowNames(mistral) == ["vim_id_\(id)"])
        #expect(try await executions(mistral) == [firstAction: "RUNNING"])
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
        let secondAction = try await actionID(server, id)
        #expect(secondAction != firstAction)
        try await server.waitForStatus("REACHABLE", of: id)
        try await waitForEnd(of: firstAction, on: mistral)
        try await eventually("only the new execution is left") {
            try await executions(mistral) == [secondAction: "RUNNING"]
        }
        let log = try await server.vedette("audit", "log", "--type", "vim.status_reported")
        #expect(log.output.contains("bad_action"), "\(log.output)")

        // Deregistered: execution and workflow are gone, the action has exited and its thread is free.
        #expect(try await server.request(.delete, "/v1.0/vims/\(id)").status == 204)
        try await waitForEnd(of: secondAction, on: mistral)
        try await eventually("Mistral has nothing left of it") {
            let names = try await workflowNames(mistral)
            return try await executions(mistral).isEmpty && names.isEmpty
        }
    }

    @Test("The plug-in's own tests pass with the libraries of this Mistral")
    func plugIn() async throws {
        let python = Programs.mistralEnvironment + "/bin/python3"
        let tests = Programs.repository + "/tools/mistral-plugin/tests"
        let finished = try await run(
            python, ["-m", "unittest", "discover", "-s", tests],
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

    private func mistralOptions(_ broker: RunningBroker, _ mistral: RunningMistral) -> [String] {
        rpcOptions(broker.url) + [
            "--workflows", "mistral", "--mistral-url", mistral.url, "--report-interval", "2",
            "--monitor-interval", "1", "--monitor-failure-threshold", "2",
        ]
    }

    private func actionID(_ server: RunningServer, _ id: String) async throws -> String {
        let vim = try await server.request(.get, "/vedette/v1/vims/\(id)").json()["vim"]
        return try #require(vim["action_id"].string)
    }

    /// The action says so in the executor's log, as the last thing it does.
    private func waitForEnd(of actionID: String, on mistral: RunningMistral) async throws {
        try await eventually("action \(actionID) exits") {
            mistral.logText(of: "executor").contains("Action \(actionID) of VIM")
        }
    }

    private func workflowNames(_ mistral: RunningMistral) async throws -> [String] {
        try await get(mistral, "/v2/workflows?fields=name")["workflows"].array.compactMap {
            $0["name"].string
        }
        .filter { $0.hasPrefix("vim_id_") }
    }

    private func executions(_ mistral: RunningMistral) async throws -> [String: String] {
        let executions = try await get(mistral, "/v2/executions?fields=state")["executions"].array
        return Dictionary(executions.map { ($0["id"].string ?? "", $0["state"].string ?? "") }) { $1 }
    }

    private func get(_ mistral: RunningMistral, _ path: String) async throws -> JSON {
        let finished = try await run("/usr/bin/curl", ["--silent", "--fail", mistral.url + path])
        try #require(finished.exitCode == 0, "curl \(path): \(finished.exitCode)")
        return try JSON(text: finished.output)
    }
}
