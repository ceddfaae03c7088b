// Starts: RabbitMQ, the server, a stand-in VIM and worker processes; kills one of them.
import Foundation
import Harness
import Testing

@Suite("Monitor actions on worker processes", .serialized)
struct WorkerTests {
    @Test("Two workers share the load; one that is told to stop gives it back, and no VIM is alarmed")
    func shareAndGiveBack() async throws {
        try await withWorkerSite { site in
            try await site.withServer { server in
                try await site.withWorker("first") { _ in
                    let ids = try await site.registerVIMs(with: server)
                    try await site.withWorker("second") { second in
                        try await server.waitForSharedLoad()
                        second.signal(SIGTERM)
                        try await eventually("the first carries all again") {
                            try await server.workerLoads()["first"] == WorkerSite.vimCount
                        }
                    }
                    #expect(try await server.auditLog().statusChanges == ["REACHABLE"])
                    let assigned = try await server.auditLog("--type", "vim.monitor_assigned")
                    #expect(assigned.contains { $0["reason"] == "handed_back" }, "\(assigned)")

                    // What is deregistered is not carried on.
                    let reply = try await server.request(.delete, "/v1.0/vims/\(ids[0])")
                    #expect(reply.status == 204)
                    try await eventually("the deregistered VIM's action ends") {
                        try await server.workerLoads()["first"] == WorkerSite.vimCount - 1
                    }
                }
            }
        }
    }

    @Test("What a killed worker carried is watched by another, and no VIM is alarmed")
    func killed() async throws {
        try await withWorkerSite { site in
            try await site.withServer { server in
                try await site.withWorker("first") { _ in
                    let ids = try await site.registerVIMs(with: server)
                    let before = try await server.actionIDs(of: ids)
                    try await site.withWorker("second") { second in
                        try await server.waitForSharedLoad()
                        let fault = try await server.lastPosition()
                        second.signal(SIGKILL)
                        try await healing("Workers", "worker killed -9", deadline: WorkerSite.deadline) {
                            try await eventually("the first carries all") {
                                try await server.workerLoads()["first"] == WorkerSite.vimCount
                            }
                            try await server.waitForReports(1, on: ids, since: fault)
                        }
                        try await server.expectHealedWithinTwoDeadlines(ids, since: fault)
                    }
                    #expect(try await server.actionIDs(of: ids) != before)
                    let assigned = try await server.auditLog("--type", "vim.monitor_assigned")
                    #expect(assigned.contains { $0["reason"] == "monitor_lost" }, "\(assigned)")
                    try await server.expectWatched(ids, at: site.vim)
                }
            }
        }
    }
}
