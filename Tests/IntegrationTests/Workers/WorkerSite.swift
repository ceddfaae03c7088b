import Foundation
import Harness
import Testing

/// What servers and workers of one test share: a broker, a stand-in VIM, a directory.
struct WorkerSite: Sendable {
    static let vimCount = 6
    /// Actions are lost after so much silence: three report intervals of five seconds.
    ///
    /// Long enough that an action that runs is heard in time where many tests share two processors.
    static let deadline = Duration.seconds(15)

    let broker: RunningBroker
    /// The endpoint of all VIMs.
    let vim: RunningEndpoint
    let directory: String

    /// Runs a server with workers; the next one finds what the last one stored.
    func withServer<Result: Sendable>(
        reportInterval: Int = 5, _ body: (RunningServer) async throws -> Result
    ) async throws -> Result {
        let options =
            rpcOptions(broker.url) + quickMonitors
            + ["--workflows", "workers", "--report-interval", "\(reportInterval)"]
        return try await Harness.withServer(dataDirectory: directory + "/data", arguments: options, body)
            .result
    }

    /// Runs a worker beside `body`.
    ///
    /// What the broker has sent to one that is frozen comes back after two missed heartbeats.
    func withWorker<Result: Sendable>(
        _ name: String, _ body: (RunningProcess) async throws -> Result
    ) async throws -> Result {
        try await withProcess(
            Programs.vedette, ["worker", "--name", name, "--capacity", "100"],
            environment: ["VEDETTE_RABBITMQ": broker.url + "?heartbeat=5"],
            log: directory + "/worker-\(name).log", body
        ).result
    }

    /// Registers the VIMs and waits until their actions have reported.
    func registerVIMs(with server: RunningServer) async throws -> [String] {
        var ids: [String] = []
        for number in 0..<WorkerSite.vimCount {
            ids.append(try await server.register(standInVIM("vim-\(number)", at: vim.url)))
        }
        for id in ids { try await server.waitForStatus("REACHABLE", of: id) }
        return ids
    }
}

/// Starts what a ``WorkerSite`` has.
///
/// - Parameter options: of the stand-in VIM.
func withWorkerSite(_ options: [String] = [], _ body: (WorkerSite) async throws -> Void) async throws {
    try await withTemporaryDirectory { directory in
        try await withBroker(directory: directory) { broker in
            try await withStandInVIM(options, directory: directory) { vim in
                try await body(WorkerSite(broker: broker, vim: vim, directory: directory))
            }
        }
    }
}

extension RunningServer {
    /// How many actions each worker is believed to carry, by name.
    func workerLoads() async throws -> [String: Int] {
        let shown = try await vedette("workers", "--json")
        try #require(shown.exitCode == 0, "\(shown.errorOutput)")
        let workers = try JSON(text: shown.output)["workers"].array
        return Dictionary(workers.map { ($0["name"].string ?? "", $0["load"].integer ?? 0) }) { $0 + $1 }
    }

    /// Waits until both of two workers carry something, and together everything.
    func waitForSharedLoad() async throws {
        try await eventually("two workers share the load") {
            let loads = try await workerLoads().values
            return loads.count { $0 > 0 } == 2 && loads.reduce(0, +) == WorkerSite.vimCount
        }
    }

    /// The wanted actions of some VIMs.
    func actionIDs(of ids: [String]) async throws -> [String] {
        var actions: [String] = []
        for id in ids {
            let vim = try await request(.get, "/vedette/v1/vims/\(id)").json()["vim"]
            actions.append(try #require(vim["action_id"].string))
        }
        return actions
    }

    /// The position of the newest event.
    func lastPosition() async throws -> Int {
        try #require(try await auditLog().last?["position"].integer)
    }

    /// Waits until each VIM's wanted action has reported so often since a position.
    func waitForReports(_ count: Int, on ids: [String], since position: Int) async throws {
        try await eventually("\(count) reports on each VIM", every: .milliseconds(500)) {
            let wanted = Set(try await actionIDs(of: ids))
            let reports = try await reports(since: position).filter { $0["verdict"] == "accepted" }
            let counts = Dictionary(reports.map { ($0["action_id"].string ?? "", 1) }) { $0 + $1 }
            return wanted.allSatisfy { counts[$0] ?? 0 >= count }
        }
    }

    /// The reports stored since a position.
    func reports(since position: Int) async throws -> [JSON] {
        try await auditLog("--from", "\(position + 1)", "--type", "vim.status_reported")
    }

    /// Shows that the VIMs are watched: their endpoint dies and comes back, and both are told of all of them,
    /// and never anything else.
    func expectWatched(_ ids: [String], at vim: RunningEndpoint) async throws {
        try await expectChanges(["REACHABLE"], of: ids)
        vim.goDown()
        for id in ids { try await waitForStatus("UNREACHABLE", of: id) }
        vim.comeUp()
        for id in ids { try await waitForStatus("REACHABLE", of: id) }
        try await expectChanges(["REACHABLE", "UNREACHABLE", "REACHABLE"], of: ids)
    }

    private func expectChanges(_ changes: [String], of ids: [String]) async throws {
        let log = try await auditLog("--type", "vim.status_reported")
        for id in ids {
            #expect(log.filter { $0["vim_id"].string == id }.statusChanges == changes)
        }
    }
}
