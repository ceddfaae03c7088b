import Foundation

/// A real Mistral beside the test: one API server, one engine, one executor with the plug-in's action.
package struct RunningMistral: Sendable {
    /// Where its API answers.
    package let url: String
    /// The three processes by name: `api`, `engine`, `executor`.
    fileprivate let processes: [String: RunningProcess]

    /// What a process has logged so far.
    package func logText(of name: String) -> String { processes[name]?.logText() ?? "" }
}

/// Runs a Mistral on a broker beside `body`, with an open API on a free port and SQLite as its database.
///
/// It takes about ten seconds to start, and half a gigabyte of memory.
@discardableResult
package func withMistral<Result: Sendable>(
    directory: String, broker: RunningBroker, executorThreadCount: Int = 8,
    _ body: (RunningMistral) async throws -> Result
) async throws -> Result {
    let python = Programs.mistralEnvironment + "/bin/python3"
    let server = Programs.mistralEnvironment + "/bin/mistral-server"
    try Programs.require(python, server)
    let port = try freePorts(count: 1)[0]
    let file = directory + "/mistral.conf"
    try configuration(directory, broker, port: port, threadCount: executorThreadCount)
        .write(toFile: file, atomically: true, encoding: .utf8)
    let made = try await run(
        python, [Programs.repository + "/Tests/Fixtures/mistral/make_database.py", file])
    guard made.exitCode == 0 else { throw HarnessError("Mistral's tables: \(made.errorOutput)") }

    func start(_ name: String, _ body: (RunningProcess) async throws -> Result) async throws -> Result {
        try await withProcess(
            server, ["--config-file", file, "--server", name], log: directory + "/mistral-\(name).log", body
        ).result
    }
    return try await start("engine") { engine in
        try await start("executor") { executor in
            try await start("api") { api in
                let mistral = RunningMistral(
                    url: "http://127.0.0.1:\(port)",
                    processes: ["api": api, "engine": engine, "executor": executor])
                try await waitUntilReady(mistral)
                return try await body(mistral)
            }
        }
    }
}

private func waitUntilReady(_ mistral: RunningMistral) async throws {
    do {
        try await eventually("Mistral is ready", limit: .seconds(120)) {
            let finished = try await run(
                "/usr/bin/curl", ["--silent", "--fail", mistral.url + "/v2/workflows"])
            return finished.exitCode == 0
                && mistral.logText(of: "engine").contains("Engine server started")
                && mistral.logText(of: "executor").contains("Executor server started")
        }
    } catch {
        let logs = ["api", "engine", "executor"].map { mistral.logText(of: $0).suffix(1_500) }
        throw HarnessError("\(error): \(logs.joined(separator: "\n---\n"))")
    }
}

private func configuration(
    _ directory: String, _ broker: RunningBroker, port: Int, threadCount: Int
) -> String {
    """
    [DEFAULT]
    transport_url = \(broker.url)
    executor_thread_pool_size = \(threadCount)
    [api]
    host = 127.0.0.1
    port = \(port)
    [pecan]
    auth_enable = false
    [database]
    connection = sqlite:///\(directory)/mistral.sqlite
    [cron_trigger]
    enabled = false
    [action_heartbeat]
    check_interval = 2
    max_missed_heartbeats = 3
    first_heartbeat_timeout = 86400
    [executor]
    type = remote
    host = executor-1
    [engine]
    host = engine-1
    [notifier]
    type = local
    [vedette]
    rpc_timeout = 3

    """
}
