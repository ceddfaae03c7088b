// Starts: RabbitMQ, the server, stand-in VIMs and worker processes; kills one of them.
import Foundation
import Harness
import Testing

@Suite("Monitor actions on worker processes", .serialized)
struct WorkerTests {
    private let vimCount = 6

    @Test("Two workers share the load; one that is told to stop gives it back, and no VIM is alarmed")
    func shareAndGiveBack() async throws {
        try await withWatchedVIMs { server, url, ids, directory in
            try await withWorker("second", at: url, in: directory) { second in
                try await eventually("an idle worker is given load", limit: .seconds(90)) {
                    let loads = try await loads(server)
                    return (loads["first"] ?? 0) > 0 && (loads["second"] ?? 0) > 0
                        && loads.values.reduce(0, +) == vimCount
                }
                second.process.signal(SIGTERM)
                try await eventually("the first carries all again", limit: .seconds(60)) {
                    try await loads(server)["first"] == vimCount
                }
            }
            try await expectQuiet(server, ids)
            let log = try await server.vedette("audit", "log", "--type", "vim.monitor_assigned")
            #expect(log.output.contains("reason=handed_back"), "\(log.output)")

            // What is deregistered is not carried on.
            let reply = try await server.request(.delete, "/v1.0/vims/\(ids[0])")
            #expect(reply.status == 204)
            try await eventually("the deregistered VIM's action ends", limit: .seconds(60)) {
                try await loads(server)["first"] == vimCount - 1
            }
        }
    }

    @Test("What a killed worker carried is watched by another, and no VIM is alarmed")
    func killed() async throws {
        try await withWatchedVIMs { server, url, ids, directory in
            let before = try await actionIDs(server, ids)
            try await withWorker("second", at: url, in: directory) { second in
                try await eventually("the second is given load", limit: .seconds(90)) {
                    (try await loads(server)["second"] ?? 0) > 0
                }
                second.process.signal(SIGKILL)
                try await eventually("the first carries all", limit: .seconds(60)) {
                    try await loads(server)["first"] == vimCount
                }
            }
            try await expectQuiet(server, ids)
            let after = try await actionIDs(server, ids)
            #expect(before != after)
            let log = try await server.vedette("audit", "log", "--type", "vim.monitor_assigned")
            #expect(log.output.contains("reason=monitor_lost"), "\(log.output)")
        }
    }

    /// A server with one worker, "first", that carries every VIM.
    private func withWatchedVIMs(
        _ body: (RunningServer, _ url: String, _ ids: [String], _ directory: String) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                let options =
                    rpcOptions(broker.url) + [
                        "--workflows", "workers", "--report-interval", "2", "--monitor-interval", "1",
                    ]
                try await withServer(dataDirectory: directory + "/data", arguments: options) { server in
                    try await withStandInVIM(directory: directory) { endpoint in
                        try await withWorker("first", at: broker.url, in: directory) { _ in
                            var ids: [String] = []
                            for number in 0..<vimCount {
                                ids.append(
                                    try await server.register(standInVIM("vim-\(number)", at: endpoint.url)))
                            }
                            for id in ids { try await server.waitForStatus("REACHABLE", of: id) }
                            try await body(server, broker.url, ids, directory)
                        }
                    }
                }
            }
        }
    }

    private func loads(_ server: RunningServer) async throws -> [String: Int] {
        let shown = try await server.vedette("workers", "--json")
        try #require(shown.exitCode == 0, "\(shown.errorOutput)")
        let workers = try JSON(text: shown.output)["workers"].array
        return Dictionary(workers.map { ($0["name"].string ?? "", $0["load"].integer ?? 0) }) { $0 + $1 }
    }

    private func actionIDs(_ server: RunningServer, _ ids: [String]) async throws -> [String] {
        var actions: [String] = []
        for id in ids {
            let vim = try await server.request(.get, "/vedette/v1/vims/\(id)").json()["vim"]
            actions.append(try #require(vim["action_id"].string))
        }
        return actions
    }

    private func expectQuiet(_ server: RunningServer, _ ids: [String]) async throws {
        for id in ids {
            let history = try await server.vedette("vim", "history", id)
            #expect(history.output.contains("REACHABLE"), "\(history.output)")
            #expect(!history.output.contains("UNREACHABLE"), "\(history.output)")
        }
    }
}

/// Runs `vedette worker` beside `body`.
private func withWorker(
    _ name: String, at url: String, in directory: String,
    _ body: ((process: RunningProcess, name: String)) async throws -> Void
) async throws {
    _ = try await withProcess(
        Programs.vedette, ["worker", "--name", name, "--capacity", "100"],
        environment: ["VEDETTE_RABBITMQ": url], log: directory + "/worker-\(name).log"
    ) { process in
        try await body((process, name))
    }
}
