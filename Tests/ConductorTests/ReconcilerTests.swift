import Registry
import Samples
import Testing

@testable import Conductor

@Suite("Reconciliation")
struct ReconciliationTests {
    @Test("What is wanted and does not run is launched; what runs as wanted is left alone")
    func launch() {
        let steps = Reconciliation(
            wanted: [vim(1), vim(2)], isComplete: true, running: [.sample(1): .sample(1)], handed: [:])
        #expect(steps.launch == [MonitorAssignment(vim(2))])
        #expect(steps.adjust == [])
        #expect(steps.stops == [])
    }

    @Test("An action that is no longer the wanted one is stopped and the wanted one launched")
    func replace() {
        let steps = Reconciliation(
            wanted: [vim(1, action: 5)], isComplete: false, running: [.sample(1): .sample(1)], handed: [:])
        #expect(steps.launch.map(\.actionID) == [.sample(5)])
        #expect(
            steps.stops == [
                "\(VIMID.sample(1)) \(MonitorActionID.sample(1)) replaced by \(MonitorActionID.sample(5))"
            ])
    }

    @Test("A deregistered VIM's action is stopped; one that does not run is no matter")
    func deregistered() {
        var gone = vim(1)
        gone.deregisteredAt = Timestamp(microseconds: 9)
        let stop = "\(VIMID.sample(1)) \(MonitorActionID.sample(1)) deregistered"
        let seen = Reconciliation(
            wanted: [gone, vim(2)], isComplete: false, running: [.sample(1): .sample(1)], handed: [:])
        #expect(seen.stops == [stop])
        #expect(seen.launch.map(\.vimID) == [.sample(2)])
        #expect(Reconciliation(wanted: [gone], isComplete: false, running: [:], handed: [:]).stops == [])
        // Also if it is named and all there is was looked at: once.
        #expect(
            Reconciliation(wanted: [gone], isComplete: true, running: [.sample(1): .sample(1)], handed: [:])
                .stops
                == [stop])
    }

    @Test("What runs without being wanted is stopped, but only when all that is wanted was looked at")
    func unwanted() {
        let running: [VIMID: MonitorActionID] = [.sample(1): .sample(1), .sample(8): .sample(8)]
        let whole = Reconciliation(wanted: [vim(1)], isComplete: true, running: running, handed: [:])
        #expect(whole.stops == ["\(VIMID.sample(8)) \(MonitorActionID.sample(8)) deregistered"])
        let part = Reconciliation(wanted: [vim(1)], isComplete: false, running: running, handed: [:])
        #expect(part.stops == [] && part.launch == [])
    }

    @Test("Other settings are handed to the running action once; a new status is not")
    func adjust() {
        let before = MonitorAssignment(vim(1))
        var changed = vim(1)
        changed.configuration.monitor = MonitorSettings(probe: .tcp)
        func steps(_ vim: VIM, handed: MonitorAssignment?) -> Reconciliation {
            Reconciliation(
                wanted: [vim], isComplete: true, running: [.sample(1): .sample(1)],
                handed: handed.map { [.sample(1): $0] } ?? [:])
        }
        #expect(steps(changed, handed: before).adjust == [MonitorAssignment(changed)])
        #expect(steps(changed, handed: MonitorAssignment(changed)).adjust == [])
        #expect(steps(changed, handed: nil).adjust == [])
        var reported = vim(1)
        reported.watch.status = .reachable
        #expect(steps(reported, handed: before).adjust == [])
        #expect(steps(reported, handed: before).launch == [])
    }

    private func vim(_ number: UInt64, action: UInt64? = nil) -> VIM {
        VIM(
            id: .sample(number), stream: UInt32(number), configuration: .sample("vim-\(number)"),
            actionID: .sample(action ?? number), createdAt: Timestamp(microseconds: 1))
    }
}

extension Reconciliation {
    fileprivate var stops: [String] { stop.map { "\($0.0) \($0.1) \($0.reason)" } }
}

@Suite("The reconciler")
struct ReconcilerTests {
    @Test("A backend that fails, and loses what it ran, converges to one wanted action per VIM")
    func converges() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let backend = FlakyBackend()
                try await withReconciler(conductor, backend) {
                    var vims: [VIM] = []
                    for number in 0..<12 {
                        vims.append(try await conductor.register(.sample("vim-\(number)"), actor: ada))
                    }
                    try await expectConvergence(conductor, backend, count: 12)
                    await backend.loseAll()
                    try await expectConvergence(conductor, backend, count: 12)

                    for vim in vims.prefix(3) { _ = try await conductor.deregister(vim.id, actor: ada) }
                    for vim in vims[3..<6] {
                        _ = try await conductor.update(
                            vim.id, expectedVersion: nil, edit: .with { $0.authURL = "http://127.0.0.1:9" },
                            actor: ada)
                    }
                    try await expectConvergence(conductor, backend, count: 9)
                    await backend.adopt(.sample(77), .sample(77))
                    try await expectConvergence(conductor, backend, count: 9)
                }
                #expect(await backend.failureCount > 0)
            }
            let types = try StoredLog(directory).types
            #expect(types.filter { $0 == .vimMonitorLaunched }.count >= 12 + 3)
            #expect(types.filter { $0 == .vimMonitorStopped }.count >= 3)
        }
    }

    @Test("New settings reach the running action under the same id")
    func settings() async throws {
        try await withConductor { conductor in
            let backend = FlakyBackend()
            try await withReconciler(conductor, backend) {
                let vim = try await conductor.register(.sample("a"), actor: ada)
                try await expectConvergence(conductor, backend, count: 1)
                let settings = MonitorSettings(probe: .icmp, intervalMilliseconds: 250)
                let changed = try await conductor.update(
                    vim.id, expectedVersion: nil,
                    edit: .with { $0.extra = .init(text: .empty, monitor: settings) }, actor: ada)
                #expect(changed.actionID == vim.actionID)
                try await eventually("the settings arrive") { await backend.settings(of: vim.id) == settings }
                #expect(await backend.running()[vim.id] == vim.actionID)
            }
        }
    }

    @Test("It ends when the conductor stops, and when it is cancelled")
    func ends() async throws {
        try await withTemporaryDirectory { directory in
            let conductor = try await Conductor(.init(directory: directory), logger: quiet)
            let reconciler = Reconciler(conductor: conductor, backend: FlakyBackend(), logger: quiet)
            async let run: Void = reconciler.run()
            await conductor.stop()
            await run
        }
        try await withConductor { conductor in
            let reconciler = Reconciler(conductor: conductor, backend: FlakyBackend(), logger: quiet)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await reconciler.run() }
                group.cancelAll()
            }
        }
    }

    private func expectConvergence(
        _ conductor: Conductor, _ backend: FlakyBackend, count: Int
    ) async throws {
        try await eventually("\(count) monitors run as wanted") {
            let wanted = conductor.registeredVIMs().reduce(into: [:]) { $0[$1.id] = $1.actionID }
            return await backend.running() == wanted && wanted.count == count
        }
    }

    private func withReconciler(
        _ conductor: Conductor, _ backend: FlakyBackend, _ body: () async throws -> Void
    ) async throws {
        let reconciler = Reconciler(
            conductor: conductor, backend: backend, fullPassInterval: .milliseconds(30), logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await reconciler.run() }
            try await body()
            group.cancelAll()
        }
    }
}

/// Fails every third launch.
private actor FlakyBackend: MonitorBackend {
    struct Failure: Error {}

    nonisolated let name = "flaky"
    private var actions: [VIMID: MonitorAssignment] = [:]
    private var launchCount = 0
    private(set) var failureCount = 0

    func running() -> [VIMID: MonitorActionID] { actions.mapValues(\.actionID) }

    func launch(_ assignment: MonitorAssignment) throws {
        launchCount += 1
        if launchCount % 3 == 0 {
            failureCount += 1
            throw Failure()
        }
        actions[assignment.vimID] = assignment
    }

    func adjust(_ assignment: MonitorAssignment) {
        if actions[assignment.vimID]?.actionID == assignment.actionID {
            actions[assignment.vimID] = assignment
        }
    }

    func stop(_ vimID: VIMID, actionID: MonitorActionID) {
        if actions[vimID]?.actionID == actionID { actions[vimID] = nil }
    }

    func loseAll() { actions = [:] }

    func adopt(_ id: VIMID, _ actionID: MonitorActionID) {
        actions[id] = MonitorAssignment(
            vimID: id, actionID: actionID, type: .openstack, authURL: "", settings: MonitorSettings(),
            status: .pending)
    }

    func settings(of id: VIMID) -> MonitorSettings? { actions[id]?.settings }
}
