import Registry
import Samples
import Synchronization
import Testing

@testable import Conductor

@Suite("The reconciler's work in hand")
struct WorkloadTests {
    @Test("There is room for so many launches and for as many pieces of other work")
    func room() {
        var workload = Workload()
        workload.plan((1...3).map(launch) + (4...6).map(stop), for: nil)
        let first = workload.begin(callMax: 2)
        #expect(first.count { $0.step != nil } == 2)
        #expect(first.count { $0.step == nil } == 2)
        let none = workload.begin(callMax: 2)
        #expect(none == [])
        // Launches that hang hold up no stop.
        for work in first where work.step == nil { end(work.vimID, in: &workload, isChanged: false) }
        let second = workload.begin(callMax: 2)
        #expect(second.map(\.step) == [nil])
    }

    @Test("What is in hand for a VIM is remembered until it has ended, and who changed meanwhile is told")
    func changes() {
        var workload = Workload()
        workload.plan([launch(1), launch(2)], for: nil)
        let begun = workload.begin(callMax: 8)
        #expect(Set(begun.map(\.vimID)) == [.sample(1), .sample(2)])
        #expect(workload.isInHand(.sample(1)))
        #expect(!workload.isInHand(.sample(3)))
        workload.mustLookAgain(at: .sample(1))
        end(.sample(1), in: &workload, isChanged: true)
        end(.sample(2), in: &workload, isChanged: false)
        #expect(!workload.isInHand(.sample(1)))
        workload.plan([stop(1)], for: [.sample(1)])
        expect(&workload, [stop(1)])
        end(.sample(1), in: &workload, isChanged: false)
    }

    @Test("A newer comparison takes the place of what an older one left waiting, for those it looked at")
    func newer() {
        var workload = Workload()
        workload.plan([launch(1), launch(2), launch(3)], for: nil)
        workload.plan([stop(1)], for: [.sample(1), .sample(2)])
        expect(&workload, [stop(1), launch(3)])
        workload.plan([launch(4)], for: [.sample(4)])
        workload.plan([launch(5)], for: nil)
        expect(&workload, [launch(5)])
        workload.plan([launch(6), stop(7)], for: nil)
        workload.forgetWaiting()
        expect(&workload, [])
    }

    private func expect(_ workload: inout Workload, _ work: [Reconciliation.Work]) {
        let begun = workload.begin(callMax: 8)
        #expect(begun == work)
    }

    private func end(_ vimID: VIMID, in workload: inout Workload, isChanged: Bool) {
        let mustBeLookedAt = workload.ended(vimID)
        #expect(mustBeLookedAt == isChanged)
    }

    private func launch(_ number: UInt64) -> Reconciliation.Work {
        let vim = VIM(
            id: .sample(number), stream: UInt32(number), configuration: .sample("vim-\(number)"),
            actionID: .sample(number), createdAt: Timestamp(microseconds: 1))
        return .init(vimID: vim.id, step: .launch(MonitorAssignment(vim)))
    }

    private func stop(_ number: UInt64) -> Reconciliation.Work {
        .init(
            vimID: .sample(number),
            stops: [.init(actionID: .sample(number), reason: "deregistered", wasRunning: true)])
    }
}

@Suite("Launches that hang")
struct HangingLaunchTests {
    @Test("They hold up nobody's launch and nobody's stop but their own VIM's")
    func others() async throws {
        try await withReconciler { conductor, backend, _ in
            let first = try await conductor.register(.sample("first"), actor: ada)
            try await eventually("one runs") { backend.running == [first.id: first.actionID] }
            backend.hang()
            let hanging = try await conductor.register(.sample("hanging"), actor: ada)
            try await eventually("it hangs") { backend.hanging == [hanging.id] }
            _ = try await conductor.deregister(first.id, actor: ada)
            try await eventually("the first is stopped") { backend.running == [:] }
            let other = try await conductor.register(.sample("other"), actor: ada)
            try await eventually("the other is called for") { backend.hanging == [hanging.id, other.id] }
            // No room is left for launches.
            let late = try await conductor.register(.sample("late"), actor: ada)
            backend.release()
            try await eventually("all run") {
                backend.running == [
                    hanging.id: hanging.actionID, other.id: other.actionID, late.id: late.actionID,
                ]
            }
            #expect(backend.twiceAtOnce == [])
        }
    }

    @Test("Who is deregistered while his launch hangs is stopped after it, though no full pass comes by")
    func ownStop() async throws {
        try await withReconciler(fullPassInterval: .seconds(3_600)) { conductor, backend, reconciler in
            let stays = try await conductor.register(.sample("stays"), actor: ada)
            try await eventually("one runs") { backend.running == [stays.id: stays.actionID] }
            backend.hang()
            let vim = try await conductor.register(.sample("goes"), actor: ada)
            try await eventually("it hangs") { backend.hanging == [vim.id] }
            #expect(reconciler.owed.all == [vim.id: vim.actionID])
            _ = try await conductor.deregister(vim.id, actor: ada)
            _ = try await conductor.deregister(stays.id, actor: ada)
            try await eventually("the other is stopped") { backend.running == [:] }
            #expect(backend.hanging == [vim.id])
            backend.release()
            try await eventually("it was launched, and stopped") { backend.stopped == [stays.id, vim.id] }
            #expect(backend.running == [:])
            #expect(backend.twiceAtOnce == [])
        }
    }

    private func withReconciler(
        fullPassInterval: Duration = .milliseconds(30),
        _ body: (Conductor, HangingBackend, Reconciler) async throws -> Void
    ) async throws {
        try await withConductor { conductor in
            let backend = HangingBackend()
            let reconciler = Reconciler(
                conductor: conductor, backend: backend, fullPassInterval: fullPassInterval, logger: quiet)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await reconciler.run() }
                try await body(conductor, backend, reconciler)
                group.cancelAll()
            }
        }
    }
}

/// Lets launches hang when told.
private final class HangingBackend: MonitorBackend {
    private struct State {
        var running: [VIMID: MonitorActionID] = [:]
        var hanging: Set<VIMID> = []
        var stopped: [VIMID] = []
        var hangs = false
        var underWay: Set<VIMID> = []
        var twiceAtOnce: [VIMID] = []
    }

    let name = "hanging"
    let callMax = 2
    private let state = Mutex(State())

    var running: [VIMID: MonitorActionID] { state.withLock { $0.running } }
    var hanging: Set<VIMID> { state.withLock { $0.hanging } }
    var stopped: [VIMID] { state.withLock { $0.stopped } }
    /// For whom two calls were made at once.
    var twiceAtOnce: [VIMID] { state.withLock { $0.twiceAtOnce } }

    func hang() { state.withLock { $0.hangs = true } }

    func release() {
        state.withLock { state in
            state.hangs = false
            state.hanging = []
        }
    }

    func sightings(of vims: Set<VIMID>?) -> [VIMID: [MonitorSighting]] {
        running.filter { vims?.contains($0.key) ?? true }.mapValues { [MonitorSighting($0)] }
    }

    func launch(_ assignment: MonitorAssignment) async throws {
        let vimID = assignment.vimID
        begin(vimID)
        defer { end(vimID) }
        state.withLock { state in
            if state.hangs { state.hanging.insert(vimID) }
        }
        while hanging.contains(vimID) { try await Task.sleep(for: .milliseconds(1)) }
        state.withLock { $0.running[vimID] = assignment.actionID }
    }

    func adjust(_ assignment: MonitorAssignment) -> Bool { true }

    func stop(_ vimID: VIMID, actionID: MonitorActionID) {
        begin(vimID)
        defer { end(vimID) }
        state.withLock { state in
            state.running[vimID] = nil
            state.stopped.append(vimID)
        }
    }

    private func begin(_ vimID: VIMID) {
        state.withLock { state in
            if !state.underWay.insert(vimID).inserted { state.twiceAtOnce.append(vimID) }
        }
    }

    private func end(_ vimID: VIMID) { state.withLock { _ = $0.underWay.remove(vimID) } }
}
