// Starts: RabbitMQ, a real Mistral with the plug-in, the server, a stand-in VIM; kills all but the last two.
import Foundation
import Harness
import Testing

@Suite("Faults around a real Mistral", .serialized)
struct MistralFaultTests {
    @Test("Killed, cut off, wiped or meddled with: every VIM is watched again, by one action, without alarm")
    func faults() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                try await withMistral(directory: directory, broker: broker) { mistral in
                    try await withServer(
                        dataDirectory: directory + "/data",
                        arguments: MistralFleet.options(broker, mistral)
                    ) { server in
                        try await withStandInVIM(directory: directory) { endpoint in
                            let fleet = MistralFleet(server: server, mistral: mistral)
                            try await faults(fleet, broker, endpoint)
                        }
                    }
                }
            }
        }
    }

    private func faults(
        _ fleet: MistralFleet, _ broker: RunningBroker, _ endpoint: RunningEndpoint
    ) async throws {
        var ids = try await fleet.register(["first", "second"], at: endpoint)
        for id in ids { try await fleet.server.waitForStatus("REACHABLE", of: id) }

        try await executorKilled(fleet, ids)
        try await brokerAway(fleet, broker, ids)
        ids.append(try await engineKilled(fleet, endpoint, ids))
        try await missedHeartbeats(fleet, ids)
        let gone = ids.removeFirst()
        ids.append(try await mistralAway(fleet, endpoint, ids, deregistering: gone))
        try await databaseWiped(fleet, ids)
        try await meddledWith(fleet, ids)
        try await fleet.expectNoAlarm(ids + [gone])
        try await surplus(fleet, endpoint)
    }

    private func executorKilled(_ fleet: MistralFleet, _ ids: [String]) async throws {
        let before = try await fleet.actionIDs(of: ids)
        try await fleet.mistral.kill9("executor")
        try await measured("executor killed -9, another started") {
            try await fleet.mistral.start("executor")
            try await fleet.waitForSuccessors(of: before)
        }
        try await fleet.waitUntilWhole(ids)
        for id in ids {
            let reasons = try await fleet.assignments(of: id)
            #expect(reasons.contains { $0.contains("monitor_lost") && $0.contains("no report for") })
        }
    }

    /// Away for longer than a deadline: nobody could be heard, so nobody is taken for lost.
    private func brokerAway(_ fleet: MistralFleet, _ broker: RunningBroker, _ ids: [String]) async throws {
        let before = try await fleet.actionIDs(of: ids)
        try await broker.kill9()
        let last = try await fleet.watches(of: ids)
        try await Task.sleep(for: MistralFleet.deadline * 1.5)
        try await broker.start()
        try await measured("broker killed -9, started again after more than a deadline") {
            for id in ids {
                try await eventually("VIM \(id) reports again") {
                    let watch = try await fleet.watch(of: id)
                    return watch.reportedAt != nil && watch.reportedAt != last[id]?.reportedAt
                }
            }
        }
        let after = try await fleet.actionIDs(of: ids)
        #expect(after == before, "a broker that was away must cost no action")
        try await fleet.waitUntilWhole(ids)
    }

    private func engineKilled(
        _ fleet: MistralFleet, _ endpoint: RunningEndpoint, _ ids: [String]
    ) async throws -> String {
        let before = try await fleet.actionIDs(of: ids)
        try await fleet.mistral.kill9("engine")
        let late = try await fleet.register(["registered without an engine"], at: endpoint)[0]
        try await Task.sleep(for: .seconds(3))
        // The next engine fails actions that sent no heartbeat for so long; a busy executor is quicker.
        var options = MistralOptions()
        options.heartbeatLimitSeconds = 8
        try fleet.mistral.configure(options)
        try await fleet.mistral.start("engine")
        try await measured("engine killed -9, another started; a VIM registered in between") {
            try await fleet.server.waitForStatus("REACHABLE", of: late)
        }
        #expect(try await fleet.actionIDs(of: ids) == before, "reports need no engine")
        try await fleet.waitUntilWhole(ids + [late])
        return late
    }

    /// The server is frozen until Mistral says ERROR, or it might notice the silence first.
    private func missedHeartbeats(_ fleet: MistralFleet, _ ids: [String]) async throws {
        let before = try await fleet.actionIDs(of: ids)
        fleet.server.process.signal(SIGSTOP)
        try await fleet.mistral.kill9("executor")
        try await measured("executor killed -9, Mistral says ERROR after missed heartbeats") {
            try await eventually("Mistral says ERROR of every execution") {
                try await fleet.executions().values.allSatisfy { $0 == "ERROR" }
            }
            fleet.server.process.signal(SIGCONT)
            try await fleet.mistral.start("executor")
            try await fleet.waitForSuccessors(of: before)
        }
        try await fleet.waitUntilWhole(ids)
        for id in ids {
            let reasons = try await fleet.assignments(of: id)
            #expect(reasons.contains { $0.contains("Mistral shows ERROR") }, "\(reasons)")
        }
    }

    private func mistralAway(
        _ fleet: MistralFleet, _ endpoint: RunningEndpoint, _ staying: [String], deregistering gone: String
    ) async throws -> String {
        let goneAction = try await fleet.watch(of: gone).actionID
        try await fleet.mistral.kill9("api", "engine")
        try await fleet.deregister(gone)
        let late = try await fleet.register(["registered without Mistral"], at: endpoint)[0]
        try await eventually("the server says that Mistral is away") {
            fleet.server.process.logText().contains("cannot be launched or stopped now")
        }
        try await fleet.waitForEnd(of: [goneAction])
        let before = try await fleet.actionIDs(of: staying)
        try fleet.mistral.configure(MistralOptions())
        try await fleet.mistral.start("api", "engine")
        try await measured("Mistral away while one VIM was registered, another deregistered") {
            try await fleet.server.waitForStatus("REACHABLE", of: late)
            try await fleet.waitUntilWhole(staying + [late])
        }
        #expect(try await fleet.actionIDs(of: staying) == before, "reports need no Mistral")
        return late
    }

    private func databaseWiped(_ fleet: MistralFleet, _ ids: [String]) async throws {
        let before = try await fleet.actionIDs(of: ids)
        try await fleet.mistral.kill9("api", "engine")
        try await fleet.mistral.wipeDatabase()
        try await fleet.mistral.start("api", "engine")
        try await measured("database wiped while the executor went on") {
            try await fleet.waitForSuccessors(of: before)
            try await fleet.waitUntilWhole(ids)
        }
        // Mistral no longer knew them, yet they ran: bad_action ends them.
        try await fleet.waitForEnd(of: before.values)
    }

    /// What people and half-done calls leave behind.
    private func meddledWith(_ fleet: MistralFleet, _ ids: [String]) async throws {
        let before = try await fleet.actionIDs(of: ids)
        let (otherID, sameID, halfDone, bare) = (ids[0], ids[0], ids[1], ids[2])

        // A second execution of a VIM's workflow, whose action has an id of its own.
        let stranger = UUID().uuidString.lowercased()
        var input = try JSON(
            text: try await fleet.get("/v2/executions/\(before[otherID] ?? "")")["input"].string ?? ""
        ).object
        let same = JSON.object(input)
        input["action_id"] = .string(stranger)
        let name = JSON.string("vim_id_\(otherID)")
        try await fleet.post("/v2/executions", ["workflow_name": name, "input": .object(input)])
        try await measured("a second execution of a VIM's workflow") {
            try await fleet.waitForEnd(of: [stranger])
            try await fleet.waitUntilWhole(ids)
        }

        // The same input once more, as 'created from' an execution: two actions report under one id.
        try await fleet.post("/v2/executions", ["workflow_name": name, "input": same])
        try await measured("a second execution under the same action id") {
            try await fleet.waitForSuccessors(of: [sameID: before[sameID] ?? ""])
            try await fleet.waitForEnd(of: [before[sameID] ?? ""])
            try await fleet.waitUntilWhole(ids)
        }

        // A workflow whose execution is not there, and an execution whose workflow is not.
        try await fleet.delete("/v2/executions/\(before[halfDone] ?? "")?force=true")
        try await fleet.delete("/v2/workflows/vim_id_\(bare)")
        try await measured("an execution deleted, a workflow left") {
            try await fleet.waitForSuccessors(of: [halfDone: before[halfDone] ?? ""])
        }
        try await fleet.waitForEnd(of: [before[halfDone] ?? ""])
        for id in ids { try await fleet.deregister(id) }
        try await fleet.waitUntilWhole([])
    }

    /// More actions than threads: Mistral shows all of them running.
    private func surplus(_ fleet: MistralFleet, _ endpoint: RunningEndpoint) async throws {
        var options = MistralOptions()
        options.executorThreadCount = 2
        try fleet.mistral.configure(options)
        try await fleet.mistral.kill9("executor")
        let earlier = fleet.begunActions()
        try await fleet.mistral.start("executor")
        var waiting = try await fleet.register(["a", "b", "c", "d"], at: endpoint)
        let advice = "raise its executor_thread_pool_size"
        try await eventually("the log names the setting to raise") {
            fleet.server.process.logText().contains(advice)
        }
        // Mistral shows all four of them RUNNING.
        try await fleet.waitUntilWhole(waiting)

        // Two are watched, though perhaps not yet: a slow executor, too, is silent. As they go, the other two
        // get their threads.
        let watched: [String] = try await eventually("two of four are watched") {
            var watched: [String] = []
            for id in waiting where try await fleet.server.vim(id)["status"] == "REACHABLE" {
                watched.append(id)
            }
            return watched.count < 2 ? nil : watched
        }
        #expect(watched.count == 2)
        for id in watched { try await fleet.deregister(id) }
        waiting.removeAll { watched.contains($0) }
        try await measured("two threads for four actions: two VIMs are deregistered") {
            for id in waiting { try await fleet.server.waitForStatus("REACHABLE", of: id) }
        }
        try await fleet.waitUntilWhole(waiting)
        try await fleet.expectNoAlarm(watched + waiting)

        for id in waiting { try await fleet.deregister(id) }
        try await fleet.waitUntilWhole([])
        try await eventually("every action that began has ended") {
            fleet.begunActions().subtracting(earlier).isSubset(of: fleet.endedActions())
        }
    }

    /// Prints how long it took; no time decides this test.
    private func measured(_ what: String, _ body: () async throws -> Void) async throws {
        try await healing("Mistral", what, deadline: MistralFleet.deadline, body)
    }
}
