import Logging
import Registry
import Synchronization
import Testing

@testable import Monitoring

/// Counts what a scheduler asked for, and lets a test wait for it.
private final class Tally: Sendable {
    private struct State {
        var probed: Set<VIMID> = []
        var reported: Set<VIMID> = []
        var underWay = 0
        var underWayMax = 0
        var refusals = 0
    }

    private let state = Mutex(State())

    func beginProbe(_ id: VIMID) {
        state.withLock { state in
            state.probed.insert(id)
            state.underWay += 1
            state.underWayMax = max(state.underWayMax, state.underWay)
        }
    }

    func endProbe() { state.withLock { $0.underWay -= 1 } }

    /// False for the first so many reports.
    func report(_ id: VIMID, refusing: Int) -> Bool {
        state.withLock { state in
            if state.refusals < refusing {
                state.refusals += 1
                return false
            }
            state.reported.insert(id)
            return true
        }
    }

    var reportedCount: Int { state.withLock { $0.reported.count } }
    var probedCount: Int { state.withLock { $0.probed.count } }
    var underWayMax: Int { state.withLock { $0.underWayMax } }

    func wait(until condition: (Tally) -> Bool) async throws {
        while !condition(self) { try await Task.sleep(for: .milliseconds(5)) }
    }
}

@Suite("The scheduler", .timeLimit(.minutes(10)))
struct MonitorSchedulerTests {
    private func scheduler(_ tally: Tally, refusing: Int = 0, answer: ReportAnswer? = nil) -> MonitorScheduler
    {
        MonitorScheduler(
            limits: FleetLimits(probesMax: 200, reportsMax: 200), defaults: MonitorSettings(),
            reportInterval: .seconds(60), random: SeededGenerator(seed: 7), logger: Logger(label: "test"),
            prober: { order in
                tally.beginProbe(order.vimID)
                await Task.yield()
                tally.endProbe()
                return .answer
            },
            reporter: { (report) async throws(CommandFailure) in
                guard tally.report(report.id, refusing: refusing) else { throw .stopped }
                return answer ?? .accepted(report.status)
            })
    }

    private func assignment(_ number: Int) -> MonitorAssignment {
        MonitorAssignment(
            vimID: testVIM(number), actionID: testAction(number), type: .openstack,
            authURL: "http://host-\(number)",
            // Nothing is probed a second time, however slow the machine is.
            settings: MonitorSettings(intervalMilliseconds: 600_000), status: .pending)
    }

    private func run(_ scheduler: MonitorScheduler, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await scheduler.run() }
            try await body()
            group.cancelAll()
        }
    }

    @Test("10,000 actions are probed and reported with a bounded number under way")
    func tenThousand() async throws {
        let tally = Tally()
        let scheduler = scheduler(tally)
        try await run(scheduler) {
            for number in 0..<10_000 { await scheduler.launch(assignment(number)) }
            try await tally.wait { $0.reportedCount == 10_000 }
        }
        #expect(tally.probedCount == 10_000)
        #expect(tally.underWayMax <= 200)
        #expect(await scheduler.running.count == 10_000)
        #expect(await scheduler.record(of: testVIM(5))?.results.count == 1)
        #expect(await scheduler.record(of: testVIM(10_001)) == nil)
    }

    @Test("Reports that get no answer come again")
    func retried() async throws {
        let tally = Tally()
        let scheduler = scheduler(tally, refusing: 3)
        try await run(scheduler) {
            await scheduler.launch(assignment(1))
            await scheduler.launch(assignment(2))
            try await tally.wait { $0.reportedCount == 2 }
        }
        #expect(tally.reportedCount >= 2)
    }

    @Test("An action that is told bad_action no longer runs")
    func badAction() async throws {
        let tally = Tally()
        let scheduler = scheduler(tally, answer: .badAction)
        try await run(scheduler) {
            await scheduler.launch(assignment(1))
            while await !scheduler.running.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        }
        #expect(tally.reportedCount == 1)
    }
}
