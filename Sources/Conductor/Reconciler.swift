public import Logging
public import Registry

/// Compares, again and again, what the registry wants (each VIM: exactly one monitor action, this one) with
/// what runs, and starts or stops the difference.
///
/// Level-triggered: it survives restarts, lost launches and backends that were away, since it never relies on
/// having seen a change; a change only makes it look sooner.
public struct Reconciler: Sendable {
    /// Everything is compared so often, whether or not a change was seen.
    public static let defaultFullPassInterval: Duration = .seconds(30)
    /// So many launches are under way at once, so that their events share commits.
    static let launchMax = 256

    private let conductor: Conductor
    private let backend: any MonitorBackend
    private let fullPassInterval: Duration
    private let logger: Logger

    /// A reconciler between a conductor and a backend.
    public init(
        conductor: Conductor, backend: any MonitorBackend,
        fullPassInterval: Duration = defaultFullPassInterval, logger: Logger
    ) {
        self.fullPassInterval = fullPassInterval
        self.conductor = conductor
        self.backend = backend
        self.logger = logger
    }

    /// Reconciles until the task is cancelled or the conductor stops.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            let (ticks, tick) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                for await _ in conductor.changeSignals { tick.yield() }
                tick.finish()
            }
            group.addTask {
                while (try? await Task.sleep(for: fullPassInterval)) != nil { tick.yield() }
            }
            var adjusted: [VIMID: MonitorAssignment] = [:]
            var nextFullPass = ContinuousClock.now
            for await _ in ReconcilerTicks(first: (), then: ticks) {
                let changed = conductor.takeChangedVIMs()
                if ContinuousClock.now >= nextFullPass {
                    nextFullPass = .now + fullPassInterval
                    await pass(over: conductor.registeredVIMs(), isFull: true, adjusted: &adjusted)
                } else {
                    await pass(over: changed, isFull: false, adjusted: &adjusted)
                }
            }
            group.cancelAll()
        }
    }

    /// One comparison; returns when everything it found was done or failed.
    private func pass(over vims: [VIM], isFull: Bool, adjusted: inout [VIMID: MonitorAssignment]) async {
        let steps = Reconciliation(
            wanted: vims, isComplete: isFull, running: await backend.running(), handed: adjusted)
        for step in steps.adjust { await backend.adjust(step) }
        for (id, actionID, reason) in steps.stop {
            await backend.stop(id, actionID: actionID)
            await note(
                .noteStop(MonitorNote(id: id, actionID: actionID, backend: backend.name, reason: reason)))
        }
        await withTaskGroup(of: Void.self) { group in
            for (index, assignment) in steps.launch.enumerated() {
                if index >= Reconciler.launchMax { await group.next() }
                group.addTask { await launch(assignment) }
            }
        }
        for assignment in steps.launch + steps.adjust { adjusted[assignment.vimID] = assignment }
        for (id, _, _) in steps.stop where !steps.launch.contains(where: { $0.vimID == id }) {
            adjusted[id] = nil
        }
    }

    private func launch(_ assignment: MonitorAssignment) async {
        do { try await backend.launch(assignment) } catch {
            logger.warning(
                "a monitor action could not be launched, it will be tried again",
                metadata: ["vim_id": "\(assignment.vimID)", "reason": "\(error)"])
            return
        }
        let id = (assignment.vimID, assignment.actionID)
        await note(.noteLaunch(MonitorNote(id: id.0, actionID: id.1, backend: backend.name)))
    }

    /// A note that could not be stored is not worth a retry: the monitor runs, and its reports say so.
    private func note(_ command: Command) async {
        do throws(CommandFailure) { _ = try await conductor.submit(command) } catch {
            logger.debug("a launch or stop was not noted", metadata: ["reason": "\(error.sentence)"])
        }
    }
}

/// What has to be done so that what runs becomes what is wanted: pure.
struct Reconciliation {
    var launch: [MonitorAssignment] = []
    var adjust: [MonitorAssignment] = []
    var stop: [(VIMID, MonitorActionID, reason: String)] = []

    /// - Parameters:
    ///   - wanted: VIMs to look at; deregistered ones want nothing.
    ///   - isComplete: whether `wanted` is all there is, so that whatever else runs is to be stopped.
    ///   - running: what runs.
    ///   - handed: what the running actions were told last; what is not in it counts as told.
    init(
        wanted: [VIM], isComplete: Bool, running: [VIMID: MonitorActionID], handed: [VIMID: MonitorAssignment]
    ) {
        for vim in wanted {
            let runningID = running[vim.id]
            guard vim.isRegistered else {
                if let runningID { stop.append((vim.id, runningID, reason: "deregistered")) }
                continue
            }
            let assignment = MonitorAssignment(vim)
            if runningID == vim.actionID {
                if let before = handed[vim.id], before.differsInOrders(from: assignment) {
                    adjust.append(assignment)
                }
                continue
            }
            if let runningID { stop.append((vim.id, runningID, reason: "replaced by \(vim.actionID)")) }
            launch.append(assignment)
        }
        guard isComplete else { return }
        let seen = Set(wanted.lazy.map(\.id))
        for (id, actionID) in running where !seen.contains(id) {
            stop.append((id, actionID, reason: "deregistered"))
        }
    }
}

extension MonitorAssignment {
    /// What a VIM wants of its monitor action.
    public init(_ vim: VIM) {
        self.init(
            vimID: vim.id, actionID: vim.actionID, type: vim.configuration.type,
            authURL: vim.configuration.authURL,
            settings: vim.configuration.monitor, status: vim.status)
    }

    /// Whether the action is to work differently; the status it found is its own news.
    fileprivate func differsInOrders(from other: MonitorAssignment) -> Bool {
        settings != other.settings || authURL != other.authURL || actionID != other.actionID
    }
}

/// One tick at once, then the stream's.
private struct ReconcilerTicks: AsyncSequence {
    let first: Void
    let then: AsyncStream<Void>

    struct AsyncIterator: AsyncIteratorProtocol {
        var isFirst = true
        var rest: AsyncStream<Void>.AsyncIterator

        mutating func next() async -> Void? {
            if isFirst {
                isFirst = false
                return ()
            }
            return await rest.next()
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(rest: then.makeAsyncIterator()) }
}
