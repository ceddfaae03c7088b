import Foundation

/// What a test may want of its Mistral.
package struct MistralOptions: Sendable {
    /// So many actions one executor runs.
    package var executorThreadCount = 8
    /// The engine declares an action failed that sent no heartbeat for so many seconds.
    package var heartbeatLimitSeconds = 600
    /// The real Keystone that it asks about every token (``withKeystone(directory:port:_:)``); nil for none.
    package var keystoneURL: String?
    /// The virtual environment it is of.
    package var environment = Programs.mistralEnvironment

    package init() {}
}

/// A real Mistral beside the test: one API server, one engine, one executor with the plug-in's action.
///
/// Each may be killed and started again; the parts of it are called `api`, `engine` and `executor`.
package struct RunningMistral: Sendable {
    /// Where its API answers.
    package let url: String
    fileprivate let port: Int
    fileprivate let directory: String
    fileprivate let broker: RunningBroker
    fileprivate let environment: String
    fileprivate let programs: [String: RestartableProgram]

    /// What a part has logged so far.
    package func logText(of part: String) -> String { programs[part]?.logText() ?? "" }

    /// Kills parts with all their processes, as a power cut would.
    package func kill9(_ parts: String...) async throws {
        for part in parts { try await programs[part]?.kill9() }
    }

    /// Starts parts again that were killed, and waits until they are ready.
    package func start(_ parts: String...) async throws {
        let before = Dictionary(uniqueKeysWithValues: parts.map { ($0, startCount(of: $0)) })
        for part in parts { try programs[part]?.startAgain() }
        try await waitUntilReady(startCounts: before)
    }

    /// Writes its configuration; parts that start afterwards work by it.
    package func configure(_ options: MistralOptions) throws {
        try configuration(directory, broker, port: port, options)
            .write(toFile: directory + "/mistral.conf", atomically: true, encoding: .utf8)
    }

    /// Makes an empty database in the place of the one there is; while neither API nor engine runs.
    package func wipeDatabase() async throws {
        try? FileManager.default.removeItem(atPath: directory + "/mistral.sqlite")
        let made = try await run(
            environment + "/bin/python3",
            [Programs.repository + "/Tests/Fixtures/mistral/make_database.py", directory + "/mistral.conf"])
        guard made.exitCode == 0 else { throw HarnessError("Mistral's tables: \(made.errorOutput)") }
    }

    /// How often a part has said that it is ready; the API answers instead.
    private func startCount(of part: String) -> Int {
        logText(of: part).components(separatedBy: "\(part.capitalized) server started").count - 1
    }

    fileprivate func waitUntilReady(startCounts before: [String: Int]) async throws {
        do {
            try await eventually("Mistral is ready", limit: startLimit) {
                for (part, count) in before where part != "api" && startCount(of: part) <= count {
                    return false
                }
                guard before["api"] != nil else { return true }
                // Any answer will do: with a Keystone it is 401.
                return try await run("/usr/bin/curl", ["--silent", url + "/v2/workflows"]).exitCode == 0
            }
        } catch {
            let logs = before.keys.map { logText(of: $0).suffix(1_500) }
            throw HarnessError("\(error): \(logs.joined(separator: "\n---\n"))")
        }
    }
}

/// Runs a Mistral on a broker beside `body`, with its API on a free port and SQLite as its database.
///
/// It takes about ten seconds to start, and half a gigabyte of memory.
@discardableResult
package func withMistral<Result: Sendable>(
    directory: String, broker: RunningBroker, _ options: MistralOptions = MistralOptions(),
    _ body: (RunningMistral) async throws -> Result
) async throws -> Result {
    let port = try freePorts(count: 1)[0]
    func program(_ part: String) -> RestartableProgram {
        RestartableProgram(
            options.environment + "/bin/mistral-server",
            ["--config-file", directory + "/mistral.conf", "--server", part],
            files: directory + "/mistral-" + part, log: directory + "/mistral-\(part).log")
    }
    let (api, engine, executor) = (program("api"), program("engine"), program("executor"))
    let mistral = RunningMistral(
        url: "http://127.0.0.1:\(port)", port: port, directory: directory, broker: broker,
        environment: options.environment, programs: ["api": api, "engine": engine, "executor": executor])
    try mistral.configure(options)
    try await mistral.wipeDatabase()
    return try await withProgram(engine) {
        try await withProgram(executor) {
            try await withProgram(api) {
                try await mistral.waitUntilReady(startCounts: ["api": 0, "engine": 0, "executor": 0])
                return try await body(mistral)
            }
        }
    }
}

private func configuration(
    _ directory: String, _ broker: RunningBroker, port: Int, _ options: MistralOptions
) -> String {
    var text = """
        [DEFAULT]
        transport_url = \(broker.url)
        executor_thread_pool_size = \(options.executorThreadCount)
        [oslo_messaging_rabbit]
        # In proportion to reports every five seconds, where the default of 30 goes with a minute's.
        rabbit_interval_max = 2
        [api]
        host = 127.0.0.1
        port = \(port)
        api_workers = 1
        [database]
        connection = sqlite:///\(directory)/mistral.sqlite
        [cron_trigger]
        enabled = false
        [action_heartbeat]
        check_interval = 1
        max_missed_heartbeats = \(options.heartbeatLimitSeconds)
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
        [pecan]
        auth_enable = \(options.keystoneURL != nil)

        """
    if let keystone = options.keystoneURL {
        text += """
            [keystone_authtoken]
            www_authenticate_uri = \(keystone)/v3
            auth_url = \(keystone)/v3
            auth_type = password
            username = admin
            password = keystone-admin-secret
            project_name = admin
            user_domain_name = Default
            project_domain_name = Default

            """
    }
    return text
}
