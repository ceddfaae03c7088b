// Starts: RabbitMQ, the server, a stand-in VIM and worker processes; kills and freezes all but the VIM.
import Foundation
import Harness
import Testing

@Suite("Workers through the deaths of broker, conductor and each other")
struct WorkerFaultTests {
    @Test("The broker is killed and comes back: no VIM is alarmed, and each is watched again")
    func brokerKilled() async throws {
        try await withWorkerSite { site in
            try await site.withServer { server in
                try await site.withWorker("only") { _ in
                    let ids = try await site.registerVIMs(with: server)
                    let fault = try await server.lastPosition()
                    try await site.broker.kill9()
                    // Longer than actions may be silent while they can be heard.
                    try await Task.sleep(for: WorkerSite.deadline * 4 / 3)
                    let position = try await server.lastPosition()
                    try await healing(
                        "Workers", "broker killed -9, started again after more than a deadline",
                        deadline: WorkerSite.deadline
                    ) {
                        try await site.broker.start()
                        try await server.waitForReports(1, on: ids, since: position)
                    }
                    try await server.expectHealedWithinTwoDeadlines(ids, since: fault)
                    try await server.expectWatched(ids, at: site.vim)
                }
            }
        }
    }

    @Test("The conductor is killed and comes back: its actions go on in their workers, under their ids")
    func conductorKilled() async throws {
        try await withWorkerSite { site in
            try await site.withWorker("first") { _ in
                try await site.withWorker("second") { _ in
                    let (ids, before) = try await site.withServer { server in
                        let ids = try await site.registerVIMs(with: server)
                        try await server.waitForSharedLoad()
                        let before = try await server.actionIDs(of: ids)
                        server.process.signal(SIGKILL)
                        return (ids, before)
                    }
                    try await site.withServer { server in
                        try await healing(
                            "Workers", "conductor killed -9, started again", deadline: WorkerSite.deadline
                        ) {
                            try await server.waitForReports(
                                3, on: ids, since: try await server.lastPosition())
                        }
                        #expect(try await server.actionIDs(of: ids) == before)
                        let loads = try await server.workerLoads()
                        #expect(loads.values.reduce(0, +) == WorkerSite.vimCount, "\(loads)")
                        try await server.expectWatched(ids, at: site.vim)
                    }
                }
            }
        }
    }

    @Test(
        "What a worker carries and has not reported yet is nobody else's under a new conductor"
    )
    func conductorKilledBeforeFirstReports() async throws {
        // A probe of this VIM waits for its answer as long as it may.
        try await withWorkerSite(["--delay", "300"]) { site in
            try await site.withWorker("first") { worker in
                let (id, actions) = try await site.withServer(reportInterval: 40) { server in
                    var vim = standInVIM("slow", at: site.vim.url).object
                    vim["extra"] = ["monitor": ["timeout": 120]]
                    let id = try await server.register(.object(vim))
                    try await eventually("the worker carries it") {
                        try await server.workerLoads() == ["first": 1]
                    }
                    let actions = try await server.actionIDs(of: [id])
                    // It cannot tell the next conductor what it carries before somebody else asks.
                    worker.signal(SIGSTOP)
                    server.process.signal(SIGKILL)
                    return (id, actions)
                }
                try await site.withServer(reportInterval: 40) { server in
                    #expect(try await askToCarry(id, actions, at: site.broker.url) == ["elsewhere"])
                    worker.signal(SIGCONT)
                    try await site.withWorker("second") { _ in
                        try await eventually("both are known, and the first still carries it") {
                            try await server.workerLoads() == ["first": 1, "second": 0]
                        }
                    }
                    #expect(try await server.actionIDs(of: [id]) == actions)
                    #expect(try await server.reports(since: 0) == [])
                }
            }
        }
    }

    @Test("A worker that is frozen past its deadline and thaws finds its actions another's, and ends them")
    func frozen() async throws {
        try await withWorkerSite { site in
            try await site.withServer { server in
                try await site.withWorker("frozen") { frozen in
                    let ids = try await site.registerVIMs(with: server)
                    try await site.withWorker("other") { _ in
                        try await freeze(frozen, watching: ids, server)
                        // It is a worker like any other again.
                        try await server.waitForSharedLoad()
                        try await server.expectWatched(ids, at: site.vim)
                    }
                }
            }
        }
    }

    /// Freezes a worker until another carries everything, thaws it, and looks at what its actions do then.
    private func freeze(_ worker: RunningProcess, watching ids: [String], _ server: RunningServer)
        async throws
    {
        let before = try await server.actionIDs(of: ids)
        worker.signal(SIGSTOP)
        try await eventually("the other carries all") {
            try await server.workerLoads()["other"] == WorkerSite.vimCount
        }
        let position = try await server.lastPosition()
        try await server.waitForReports(1, on: ids, since: position)
        worker.signal(SIGCONT)
        try await server.waitForReports(6, on: ids, since: position)
        // An action that went on would have been refused as often as the wanted one was heard.
        let refused = try await server.reports(since: position).filter { $0["verdict"] == "bad_action" }
        for action in before {
            #expect(refused.count { $0["action_id"].string == action } <= 2, "\(refused)")
        }
    }

    @Test("Nobody but the wanted action is told what a probe needs; new orders reach the one that runs")
    func orders() async throws {
        try await withWorkerSite(["--kind", "kubernetes", "--token", "right-token"]) { site in
            try await site.withServer { server in
                try await site.withWorker("only") { _ in
                    let id = try await server.register(cluster(at: site.vim.url, token: "wrong-token"))
                    try await server.waitForStatus("UNREACHABLE", of: id)
                    let first = try await server.actionIDs(of: [id])

                    // New credentials make a new action, which has them.
                    try await server.update(id, ["auth_cred": ["bearer_token": "right-token"]])
                    try await server.waitForStatus("REACHABLE", of: id)
                    let second = try await server.actionIDs(of: [id])
                    #expect(first != second)

                    // New settings reach the action that runs: its next probe speaks no HTTP.
                    try await server.update(id, ["extra": ["monitor": ["probe": "tcp"]]])
                    try await eventually("the action probes as it was told") {
                        try await server.auditLog("--vim", id, "--type", "vim.status_reported")
                            .last?["reason"] == "answered"
                    }
                    #expect(try await server.actionIDs(of: [id]) == second)

                    // Who asks with the old action's id, or asks for what another carries, learns nothing.
                    let answers = try await askToCarry(id, first + second, at: site.broker.url)
                    #expect(answers == ["bad_action", "elsewhere"])
                    #expect(
                        try await server.auditLog("--vim", id).statusChanges == ["UNREACHABLE", "REACHABLE"])
                }
            }
        }
    }

    private func cluster(at url: String, token: String) -> JSON {
        [
            "name": "k8s", "type": "kubernetes", "auth_url": .string(url), "vim_project": ["name": "default"],
            "auth_cred": ["bearer_token": .string(token)],
        ]
    }
}

extension RunningServer {
    /// Changes a VIM.
    fileprivate func update(_ id: String, _ changes: JSON) async throws {
        let reply = try await request(.put, "/v1.0/vims/\(id)", body: ["vim": changes])
        guard reply.status == 200 else {
            throw HarnessError("an update answered \(reply.status): \(reply.text)")
        }
    }
}
