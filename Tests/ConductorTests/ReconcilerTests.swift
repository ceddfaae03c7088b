import Registry
import Samples
import Testing

@testable import Conductor

@Suite("Reconciliation")
struct ReconciliationTests {
    @Test("What is wanted and is not there is launched; what runs as wanted is left alone")
    func launch() {
        let steps = reconcile([vim(1), vim(2)], [1: [run(1)]])
        #expect(steps.work == [.init(vimID: .sample(2), step: .launch(MonitorAssignment(vim(2))))])
    }

    @Test("An action that is no longer the wanted one is stopped and the wanted one launched")
    func replace() {
        let steps = reconcile([vim(1, action: 5)], [1: [run(1)]])
        let reason = "replaced by \(MonitorActionID.sample(5))"
        #expect(
            steps.work == [
                .init(
                    vimID: .sample(1), stops: [stop(1, reason)],
                    step: .launch(MonitorAssignment(vim(1, action: 5))))
            ])
    }

    @Test("Of several actions of one VIM the wanted one stays and the others are stopped")
    func duplicates() {
        let steps = reconcile([vim(1, action: 5)], [1: [run(4), run(5), ended(6)]])
        let reason = "replaced by \(MonitorActionID.sample(5))"
        #expect(
            steps.work == [
                .init(
                    vimID: .sample(1), stops: [stop(4, reason), stop(6, reason, wasRunning: false)],
                    keepsWanted: true)
            ])
    }

    @Test("A deregistered VIM's action is stopped, and what is left of an ended one removed")
    func deregistered() {
        var gone = vim(1)
        gone.deregisteredAt = Timestamp(microseconds: 9)
        let seen = reconcile([gone, vim(2)], [1: [run(1)]])
        #expect(seen.work.first == .init(vimID: .sample(1), stops: [stop(1, "deregistered")]))
        #expect(seen.work.map(\.vimID) == [.sample(1), .sample(2)])
        #expect(reconcile([gone], [:]).work == [])
        #expect(
            reconcile([gone], [1: [ended(1)]]).work
                == [.init(vimID: .sample(1), stops: [stop(1, "deregistered", wasRunning: false)])])
    }

    @Test("What runs for VIMs that nobody here knows is somebody else's")
    func foreign() {
        #expect(reconcile([vim(1)], [1: [run(1)], 8: [run(8)]]).work == [])
    }

    @Test("An action that reported and ended is replaced; one that ended before is supervision's")
    func endedActions() {
        var spoken = vim(1)
        spoken.watch.reportedAt = Timestamp(microseconds: 5)
        let replaced = reconcile([spoken], [1: [ended(1)]])
        #expect(replaced.work == [.init(vimID: .sample(1), step: .replace(.sample(1), detail: "ended"))])
        let mute = reconcile([vim(1)], [1: [ended(1)]])
        #expect(mute.work == [])
        #expect(mute.stillborn.map(\.vimID) == [.sample(1)])
        #expect(mute.stillborn.map(\.reason) == ["ended"])
    }

    @Test("Where actions outlive the conductor, one that has reported is never launched a second time")
    func vanished() {
        var spoken = vim(1)
        spoken.watch.reportedAt = Timestamp(microseconds: 5)
        let detail = "nothing is left of it where it ran"
        #expect(
            reconcile([spoken], [:], outlives: true).work
                == [.init(vimID: .sample(1), step: .replace(.sample(1), detail: detail))])
        let launch = [
            Reconciliation.Work(vimID: .sample(1), step: .launch(MonitorAssignment(spoken)))
        ]
        #expect(reconcile([spoken], [:], outlives: false).work == launch)
        // One that was launched by this very conductor and has not reported yet may run, too.
        let handed = [VIMID.sample(1): MonitorAssignment(vim(1))]
        #expect(
            reconcile([vim(1)], [:], handed: handed, outlives: true).work.map(\.step)
                == [.replace(.sample(1), detail: detail)])
        #expect(
            reconcile([vim(1, action: 2)], [:], handed: handed, outlives: true).work.map(\.step)
                == [.launch(MonitorAssignment(vim(1, action: 2)))])
        #expect(reconcile([vim(1)], [:], outlives: true).work.map(\.step) == launch.map(\.step))
    }

    @Test("Other settings are handed to the running action once; a new status is not")
    func adjust() {
        let before = MonitorAssignment(vim(1))
        var changed = vim(1)
        changed.configuration.monitor = MonitorSettings(probe: .tcp)
        func steps(_ vim: VIM, handed: MonitorAssignment?) -> [Reconciliation.Step?] {
            reconcile([vim], [1: [run(1)]], handed: handed.map { [.sample(1): $0] } ?? [:]).work.map(\.step)
        }
        #expect(steps(changed, handed: before) == [.adjust(MonitorAssignment(changed))])
        #expect(steps(changed, handed: MonitorAssignment(changed)) == [])
        // Found running by a conductor that has just started: what it was told is taken to be this.
        #expect(steps(changed, handed: nil) == [])
        #expect(reconcile([changed], [1: [run(1)]]).untold == [MonitorAssignment(changed)])
        var reported = vim(1)
        reported.watch.status = .reachable
        #expect(steps(reported, handed: before) == [])
    }

    @Test("A sighting that tells its orders is believed, also by a conductor that has just started")
    func orders() {
        func steps(_ told: String?) -> [Reconciliation.Step?] {
            let sighting = MonitorSighting(.sample(1), orders: told)
            return Reconciliation(
                wanted: [vim(1)], sightings: [.sample(1): [sighting]], handed: [:], orders: { _ in "wanted" }
            ).work.map(\.step)
        }
        #expect(steps("wanted") == [])
        #expect(steps(nil) == [])
        #expect(steps("other") == [.adjust(MonitorAssignment(vim(1)))])
    }

    @Test("Two that report under the wanted id both give way to a third, and are removed after that")
    func copies() {
        var copy = run(7)
        copy.reportsAs = .sample(1)
        let detail = "another reports under its id, too"
        #expect(
            reconcile([vim(1)], [1: [run(6), copy, run(1)]]).work
                == [.init(vimID: .sample(1), step: .replace(.sample(1), detail: detail))])
        let after = reconcile([vim(1, action: 2)], [1: [copy, run(1)]]).work
        #expect(after.map { $0.stops.map(\.actionID) } == [[.sample(7), .sample(1)]])
        #expect(after.map(\.step) == [.launch(MonitorAssignment(vim(1, action: 2)))])
    }

    private func reconcile(
        _ wanted: [VIM], _ sightings: [UInt64: [MonitorSighting]], handed: [VIMID: MonitorAssignment] = [:],
        outlives: Bool = false
    ) -> Reconciliation {
        Reconciliation(
            wanted: wanted,
            sightings: Dictionary(uniqueKeysWithValues: sightings.map { (VIMID.sample($0), $1) }),
            handed: handed, actionsOutliveConductor: outlives)
    }

    private func run(_ number: UInt64) -> MonitorSighting { MonitorSighting(.sample(number)) }

    private func ended(_ number: UInt64) -> MonitorSighting {
        MonitorSighting(.sample(number), .ended("ended"))
    }

    private func stop(_ number: UInt64, _ reason: String, wasRunning: Bool = true) -> Reconciliation.Stop {
        .init(actionID: .sample(number), reason: reason, wasRunning: wasRunning)
    }

    private func vim(_ number: UInt64, action: UInt64? = nil) -> VIM {
        VIM(
            id: .sample(number), stream: UInt32(number), configuration: .sample("vim-\(number)"),
            actionID: .sample(action ?? number), createdAt: Timestamp(microseconds: 1))
    }
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
                    // A duplicate of a wanted action, and the action of a VIM that is long gone.
                    await backend.adopt(vims[3].id, .sample(77))
                    await backend.adopt(vims[0].id, vims[0].actionID)
                    try await expectConvergence(conductor, backend, count: 9)
                    await backend.goAway()
                    _ = try await conductor.deregister(vims[8].id, actor: ada)
                    _ = try await conductor.register(.sample("vim-77"), actor: ada)
                    _ = try await conductor.register(.sample("vim-78"), actor: ada)
                    try await eventually("it was asked while it was away") { await backend.refusalCount > 3 }
                    await backend.comeBack()
                    try await expectConvergence(conductor, backend, count: 10)
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
                #expect(await backend.actions[vim.id]?.map(\.actionID) == [vim.actionID])
            }
        }
    }

    @Test("Where a running action cannot be told new settings, it gets a successor, and the event says why")
    func successor() async throws {
        try await withTemporaryDirectory { directory in
            try await withConductor(in: directory) { conductor in
                let backend = FlakyBackend(isDeaf: true)
                try await withReconciler(conductor, backend) {
                    let vim = try await conductor.register(.sample("a"), actor: ada)
                    try await expectConvergence(conductor, backend, count: 1)
                    let settings = MonitorSettings(probe: .icmp, intervalMilliseconds: 250)
                    _ = try await conductor.update(
                        vim.id, expectedVersion: nil,
                        edit: .with { $0.extra = .init(text: .empty, monitor: settings) }, actor: ada)
                    try await eventually("the settings arrive") {
                        await backend.settings(of: vim.id) == settings
                    }
                    #expect(conductor.vim(vim.id)?.actionID != vim.actionID)
                    try await expectConvergence(conductor, backend, count: 1)
                }
            }
            let reasons = try StoredLog(directory).events.compactMap { event -> AssignmentReason? in
                guard case .vimMonitorAssigned(let assigned) = event.event else { return nil }
                return assigned.reason
            }
            #expect(reasons == [.registered, .settingsChanged])
        }
    }

    @Test("Launches that a backend cannot take now are owed, and settled when it can")
    func owed() async throws {
        try await withConductor { conductor in
            let backend = FlakyBackend()
            await backend.goAway()
            let reconciler = Reconciler(
                conductor: conductor, backend: backend, fullPassInterval: .milliseconds(30), logger: quiet)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await reconciler.run() }
                let vim = try await conductor.register(.sample("a"), actor: ada)
                try await eventually("the launch is owed") { reconciler.owed.all == [vim.id: vim.actionID] }
                await backend.comeBack()
                try await eventually("the launch is settled") { reconciler.owed.all.isEmpty }
                try await expectConvergence(conductor, backend, count: 1)
                group.cancelAll()
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
            let wanted = conductor.registeredVIMs().reduce(into: [:]) { $0[$1.id] = [$1.actionID] }
            return await backend.actions.mapValues { $0.map(\.actionID) } == wanted && wanted.count == count
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

/// Fails every third launch and every fourth stop, and goes away when told.
private actor FlakyBackend: MonitorBackend {
    struct Failure: Error {}

    nonisolated let name = "flaky"
    nonisolated let callMax = 2
    private(set) var actions: [VIMID: [MonitorAssignment]] = [:]
    private var callCount = 0
    private(set) var failureCount = 0
    private(set) var refusalCount = 0
    private var isAway = false
    private let isDeaf: Bool

    init(isDeaf: Bool = false) { self.isDeaf = isDeaf }

    func goAway() { isAway = true }
    func comeBack() { isAway = false }

    func sightings(of vims: Set<VIMID>?) throws -> [VIMID: [MonitorSighting]] {
        if isAway {
            refusalCount += 1
            throw Failure()
        }
        return actions.filter { vims?.contains($0.key) ?? true }
            .mapValues { $0.map { MonitorSighting($0.actionID) } }
    }

    func launch(_ assignment: MonitorAssignment) throws {
        try failNow(every: 3)
        actions[assignment.vimID, default: []].append(assignment)
    }

    func adjust(_ assignment: MonitorAssignment) -> Bool {
        if isDeaf { return false }
        guard let index = actions[assignment.vimID]?.firstIndex(where: { $0.actionID == assignment.actionID })
        else { return true }
        actions[assignment.vimID]?[index] = assignment
        return true
    }

    func stop(_ vimID: VIMID, actionID: MonitorActionID) throws {
        try failNow(every: 4)
        actions[vimID]?.removeAll { $0.actionID == actionID }
        if actions[vimID] == [] { actions[vimID] = nil }
    }

    private func failNow(every period: Int) throws {
        callCount += 1
        guard callCount % period == 0 else { return }
        failureCount += 1
        throw Failure()
    }

    func loseAll() { actions = [:] }

    func adopt(_ id: VIMID, _ actionID: MonitorActionID) {
        actions[id, default: []].append(
            MonitorAssignment(
                vimID: id, actionID: actionID, type: .openstack, authURL: "", settings: MonitorSettings(),
                status: .pending))
    }

    func settings(of id: VIMID) -> MonitorSettings? { actions[id]?.last?.settings }
}
