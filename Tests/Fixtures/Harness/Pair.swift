import Foundation

/// The two conductors of a pair beside the test.
package struct RunningPair: Sendable {
    /// Both nodes.
    package let nodes: [RunningNode]
    fileprivate let etcd: RunningEtcd

    /// What `vedette pair status --json` tells.
    package func status() async throws -> JSON {
        try JSON(text: try await command(["status", "--json"]).output)
    }

    /// Runs `vedette pair` for this pair.
    package func command(
        _ arguments: [String], build: String = Programs.vedette
    ) async throws -> FinishedProcess {
        try await runVedette(
            ["pair"] + arguments + ["--pair", "test", "--etcd", etcd.urls.joined(separator: ",")],
            build: build)
    }

    /// The node that leads; waits until there is one.
    package func leader() async throws -> RunningNode {
        try await eventually("one of the pair leads", every: .milliseconds(20)) {
            for node in nodes where await node.leads() { return node }
            return nil
        }
    }

    /// The node that is not this one.
    package func other(than node: RunningNode) -> RunningNode { nodes[node.number == 0 ? 1 : 0] }
}

/// One of a pair's two nodes, which may be killed, stopped, frozen and started again.
package struct RunningNode: Sendable {
    /// 0 or 1.
    package let number: Int
    /// Where it runs.
    package let place: Place
    /// Where its API answers.
    package let address: String
    /// Where its data are.
    package let dataDirectory: String
    fileprivate let program: RestartableProgram

    /// The process; nil while it does not run.
    package var processID: Int32? { program.processID }
    /// What it has logged so far.
    package var logText: String { program.logText() }

    /// Ends it as a crash would, and waits until it is gone.
    package func kill9() async throws { try await program.kill9() }

    /// Stops it as an operator would, and waits until it is gone.
    package func stop() async throws {
        try program.signal(SIGTERM)
        try await eventually("node \(number) ends") { processID == nil }
    }

    /// Lets it stand still, with its connections open, until ``thaw()``.
    package func freeze() throws { try program.freeze() }

    /// Lets a frozen one go on.
    package func thaw() throws { try program.signal(SIGCONT) }

    /// Starts it after it has ended, and waits until its API answers.
    package func start() async throws {
        try program.startAgain()
        try await waitUntilAlive()
    }

    /// Lets it run another build of `vedette` from its next start on.
    package func use(_ build: String) throws { try RunningNode.link(build, for: dataDirectory) }

    /// The file of the program that runs; nil while none does.
    package var build: String? {
        processID.flatMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/exe") }
    }

    /// What a node runs is a link, which may lead elsewhere when it starts again.
    @discardableResult
    fileprivate static func link(_ build: String, for dataDirectory: String) throws -> String {
        let link = dataDirectory + ".program"
        try Programs.require(build)
        if (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) != nil {
            try FileManager.default.removeItem(atPath: link)
        }
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: build)
        return link
    }

    /// Whether it says that it leads.
    package func leads() async -> Bool {
        let reply = try? await ask(address, .get, "/healthz/leader", timeout: .seconds(1))
        return reply?.status == 200
    }

    /// Sends one request and returns the whole reply, whatever its status.
    package func request(
        _ method: Method, _ path: String, body: JSON? = nil, headers: [String: String] = [:],
        timeout: Duration = .seconds(60)
    ) async throws -> Reply {
        try await ask(address, method, path, text: body?.text(), headers: headers, timeout: timeout)
    }

    /// Registers a VIM and returns its id; throws if the pair refuses.
    package func register(_ attributes: JSON, timeout: Duration = .seconds(60)) async throws -> String {
        let reply = try await request(.post, "/v1.0/vims", body: ["vim": attributes], timeout: timeout)
        guard reply.status == 201, let id = try reply.json()["vim"]["id"].string else {
            throw HarnessError("registration answered \(reply.status): \(reply.text)")
        }
        return id
    }

    /// Runs `vedette` against its data directory.
    package func vedette(_ arguments: String...) async throws -> FinishedProcess {
        try await runVedette(arguments + ["--data-directory", dataDirectory])
    }

    fileprivate func waitUntilAlive() async throws {
        do {
            try await eventually("node \(number) answers", every: .milliseconds(20)) {
                (try? await ask(address, .get, "/healthz/live", timeout: .seconds(1)))?.status == 200
            }
        } catch { throw HarnessError("\(error); it says: \(logText.suffix(2_000))") }
    }
}

/// Runs two `vedette serve --pair` on free ports beside `body`, and stops them afterwards.
///
/// - Parameters:
///   - places: where the two run; beyond loopback `arguments` must name certificates.
///   - build: the `vedette` that both run at first.
@discardableResult
package func withPair<Result: Sendable>(
    directory: String, etcd: RunningEtcd, places: [Place] = [.loopback, .loopback], arguments: [String] = [],
    lease: Int = 2, build: String = Programs.vedette,
    _ body: (RunningPair) async throws -> Result
) async throws -> Result {
    let ports = try freePorts(count: 4)
    let nodes = try (0..<2).map { number in
        let data = "\(directory)/node-\(number)"
        let (place, peer) = (places[number], places[1 - number])
        let address = "\(place.address):\(ports[number])"
        let fixed = [
            "serve", "--data-directory", data, "--listen", address, "--auth", "none", "--pair", "test",
            "--etcd", etcd.urls.joined(separator: ","),
            "--pair-listen", "\(place.address):\(ports[2 + number])",
            "--peer", "\(peer.address):\(ports[3 - number])", "--pair-lease", "\(lease)",
        ]
        return RunningNode(
            number: number, place: place, address: address, dataDirectory: data,
            program: RestartableProgram(
                try RunningNode.link(build, for: data), fixed + arguments, files: data, log: data + ".log",
                at: place))
    }
    return try await withProgram(nodes[0].program) {
        try await withProgram(nodes[1].program) {
            for node in nodes { try await node.waitUntilAlive() }
            return try await body(RunningPair(nodes: nodes, etcd: etcd))
        }
    }
}
