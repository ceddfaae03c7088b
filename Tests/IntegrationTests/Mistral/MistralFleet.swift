import Foundation
import Harness
import Testing

/// VIMs that a server has watched by a real Mistral, and both sides' view of them.
struct MistralFleet: Sendable {
    /// Actions are lost after so much silence: three of the report intervals of ``options(_:_:)``.
    ///
    /// Long enough that an action that runs is heard in time where many tests share two processors, and that
    /// the start of an executor, some seconds of Python, is not most of it.
    static let deadline = Duration.seconds(15)

    let server: RunningServer
    let mistral: RunningMistral
    /// Sent with each call to Mistral; empty where it asks for none.
    var token = ""

    /// Options of `vedette serve` with short intervals.
    static func options(_ broker: RunningBroker, _ mistral: RunningMistral) -> [String] {
        rpcOptions(broker.url) + [
            "--workflows", "mistral", "--mistral-url", mistral.url, "--report-interval", "5",
            "--monitor-interval", "1", "--monitor-failure-threshold", "2",
        ]
    }

    // MARK: The server's side

    /// A VIM's wanted action and when it reported last.
    struct Watch: Hashable {
        var actionID: String
        var reportedAt: String?
    }

    func watch(of id: String) async throws -> Watch {
        let vim = try await server.request(.get, "/vedette/v1/vims/\(id)").json()["vim"]
        return Watch(
            actionID: try #require(vim["action_id"].string, "\(vim)"), reportedAt: vim["reported_at"].string)
    }

    func watches(of ids: [String]) async throws -> [String: Watch] {
        var watches: [String: Watch] = [:]
        for id in ids { watches[id] = try await watch(of: id) }
        return watches
    }

    func actionIDs(of ids: [String]) async throws -> [String: String] {
        try await watches(of: ids).mapValues(\.actionID)
    }

    /// Waits until other actions than these watch, and have said so.
    func waitForSuccessors(of actions: [String: String]) async throws {
        for (id, actionID) in actions {
            try await eventually("VIM \(id) is watched by another than \(actionID)") {
                let watch = try await watch(of: id)
                return watch.actionID != actionID && watch.reportedAt != nil
            }
        }
    }

    /// Why VIMs got new actions, as the log tells it: one line an event, in the log's order.
    func assignments(of id: String) async throws -> [String] {
        let log = try await server.vedette("audit", "log", "--type", "vim.monitor_assigned", "--vim", id)
        try #require(log.exitCode == 0, "\(log.errorOutput)")
        return log.lines
    }

    func register(_ names: [String], at endpoint: RunningEndpoint) async throws -> [String] {
        var ids: [String] = []
        for name in names { ids.append(try await server.register(standInVIM(name, at: endpoint.url))) }
        return ids
    }

    func deregister(_ id: String) async throws {
        let reply = try await server.request(.delete, "/v1.0/vims/\(id)")
        #expect(reply.status == 204, "\(reply.text)")
    }

    /// VIMs that stayed up were never told otherwise.
    func expectNoAlarm(_ ids: [String]) async throws {
        for id in ids {
            let history = try await server.vedette("vim", "history", id)
            #expect(history.output.contains("REACHABLE"), "\(history.output)\(history.errorOutput)")
            #expect(!history.output.contains("UNREACHABLE"), "\(history.output)")
        }
    }

    // MARK: Mistral's side

    /// The state of each execution, by its id.
    func executions() async throws -> [String: String] {
        let executions = try await get("/v2/executions?fields=state")["executions"].array
        return Dictionary(executions.map { ($0["id"].string ?? "", $0["state"].string ?? "") }) { $1 }
    }

    /// The names of the workflows for VIMs.
    func workflowNames() async throws -> Set<String> {
        let workflows = try await get("/v2/workflows?fields=name")["workflows"].array
        return Set(workflows.compactMap { $0["name"].string }.filter { $0.hasPrefix("vim_id_") })
    }

    /// Waits until Mistral has, of each VIM, one workflow and one running execution, and nothing else.
    func waitUntilWhole(_ ids: [String]) async throws {
        try await eventually("Mistral has what is wanted of \(ids), and nothing else") {
            let wanted = try await actionIDs(of: ids).values.map { ($0, "RUNNING") }
            guard try await executions() == Dictionary(wanted, uniquingKeysWith: { $1 }) else { return false }
            return try await workflowNames() == Set(ids.map { "vim_id_\($0)" })
        }
    }

    /// The actions that say in the executor's log that they began.
    func begunActions() -> Set<String> { actions(between: " as action ", and: nil) }

    /// The actions that say so that they were told `bad_action`, the last thing that they do.
    func endedActions() -> Set<String> { actions(between: "Action ", and: " of VIM ") }

    func waitForEnd(of actionIDs: some Sequence<String> & Sendable) async throws {
        try await eventually("the actions \(Array(actionIDs)) exit") {
            endedActions().isSuperset(of: actionIDs)
        }
    }

    private func actions(between before: String, and after: String?) -> Set<String> {
        Set(
            mistral.logText(of: "executor").split(separator: "\n").compactMap { line in
                guard let start = line.range(of: before)?.upperBound else { return nil }
                let rest = line[start...]
                let id = String(rest.prefix(36))
                guard id.count == 36, after.map({ rest.dropFirst(36).hasPrefix($0) }) ?? true else {
                    return nil
                }
                return id
            })
    }

    // MARK: Calls to Mistral

    func get(_ path: String) async throws -> JSON { try JSON(text: try await call([path])) }

    func post(_ path: String, _ body: JSON) async throws {
        _ = try await call([
            path, "--header", "Content-Type: application/json", "--data-binary", try body.text(),
        ])
    }

    func delete(_ path: String) async throws { _ = try await call([path, "--request", "DELETE"]) }

    private func call(_ arguments: [String]) async throws -> String {
        let finished = try await run(
            "/usr/bin/curl",
            ["--silent", "--show-error", "--fail", "--header", "X-Auth-Token: \(token)"]
                + [mistral.url + arguments[0]] + arguments.dropFirst())
        try #require(finished.exitCode == 0, "curl \(arguments): \(finished.errorOutput)")
        return finished.output
    }
}
