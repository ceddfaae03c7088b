public import Logging
public import Registry
import Synchronization

/// Compares, again and again, what the registry wants (each VIM: exactly one monitor action, this one) with
/// what the backend shows, and starts or stops the difference.
///
/// Level-triggered: it survives restarts, lost launches and backends that were away, since it never relies on
/// having seen a change; a change only makes it look sooner.
public struct Reconciler: Sendable {
    /// Everything is compared so often, whether or not a change was seen.
    public static let defaultFullPassInterval: Duration = .seconds(30)
    /// After trouble everything is compared so soon.
    static let retryInterval: Duration = .seconds(5)

    /// What could not be launched yet; for the supervisor.
    public let owed = OwedLaunches()

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
        await withDiscardingTaskGroup { group in
            let (ticks, tick) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                for await _ in conductor.changeSignals { tick.yield() }
                tick.finish()
            }
            group.addTask {
                while (try? await Task.sleep(for: retryInterval / 2)) != nil { tick.yield() }
            }
            tick.yield()
            let ended = EndedWork()
            var progress = Progress()
            for await _ in ticks {
                await turn(&progress, after: ended.take())
                for work in progress.workload.begin(callMax: backend.callMax) {
                    group.addTask {
                        ended.put(await perform(work))
                        tick.yield()
                    }
                }
            }
            group.cancelAll()
        }
    }

    private var retryInterval: Duration { min(fullPassInterval, Reconciler.retryInterval) }

    /// What one turn leaves to the next.
    private struct Progress {
        var workload = Workload()
        var handed: [VIMID: MonitorAssignment] = [:]
        var nextFullPass = ContinuousClock.now
        /// What could not be done since the last full pass; said together.
        var failures: [Outcome] = []
        /// Whether the backend could not be asked; so that it is said once.
        var isAway = false

        mutating func retry(after interval: Duration) { nextFullPass = min(nextFullPass, .now + interval) }
    }

    /// Looks at what changed, or at everything; waits for the backend's view alone, never for work in hand.
    private func turn(_ progress: inout Progress, after outcomes: [Outcome]) async {
        var changed = settle(outcomes, in: &progress) + conductor.takeChangedVIMs()
        for vim in changed where progress.workload.isInHand(vim.id) {
            progress.workload.mustLookAgain(at: vim.id)
            if vim.isRegistered { owed.owe([(vim.id, vim.actionID)]) }
        }
        changed.removeAll { progress.workload.isInHand($0.id) }
        let isFull = ContinuousClock.now >= progress.nextFullPass
        guard isFull || !changed.isEmpty else { return }
        if isFull { tellFailures(&progress) }
        let sightings: [VIMID: [MonitorSighting]]
        do {
            sightings = try await backend.sightings(of: isFull ? nil : Set(changed.map(\.id)))
        } catch {
            if Task.isCancelled { return }
            // Who changed is forgotten with this turn; the next one looks at all.
            owed.owe(changed.filter(\.isRegistered).map { ($0.id, $0.actionID) })
            if !progress.isAway {
                logger.warning(
                    "monitor actions cannot be launched or stopped now; it is tried again and again",
                    metadata: ["backend": "\(backend.name)", "reason": "\(error)"])
            }
            progress.isAway = true
            progress.workload.forgetWaiting()
            progress.nextFullPass = .now + retryInterval
            return
        }
        if progress.isAway { logger.notice("the backend of monitor actions is back") }
        progress.isAway = false
        compare(isFull ? nil : changed, with: sightings, in: &progress)
        if isFull { progress.nextFullPass = .now + fullPassInterval }
    }

    /// Takes in how work went; returns the VIMs that changed meanwhile.
    private func settle(_ outcomes: [Outcome], in progress: inout Progress) -> [VIM] {
        var unlooked: [VIM] = []
        for outcome in outcomes {
            if progress.workload.ended(outcome.vimID), let vim = conductor.vim(outcome.vimID) {
                unlooked.append(vim)
            }
            if outcome.failure != nil {
                progress.failures.append(outcome)
                progress.retry(after: retryInterval)
                continue
            }
            owed.settle(outcome.vimID)
            if outcome.isNews { progress.handed[outcome.vimID] = outcome.handed }
        }
        return unlooked
    }

    /// Plans what a comparison finds, of some VIMs or of all if nil; what is in hand is passed over.
    private func compare(
        _ changed: [VIM]?, with sightings: [VIMID: [MonitorSighting]], in progress: inout Progress
    ) {
        let workload = progress.workload
        var wanted = changed ?? conductor.registeredVIMs()
        if changed == nil {
            let seen = Set(wanted.lazy.map(\.id))
            // Those that the registry has never known are nil here, and somebody else's.
            wanted += sightings.keys.lazy.filter { !seen.contains($0) }.compactMap { conductor.vim($0) }
            wanted.removeAll { workload.isInHand($0.id) }
        }
        let steps = Reconciliation(
            wanted: wanted, sightings: sightings, handed: progress.handed,
            actionsOutliveConductor: backend.actionsOutliveConductor, orders: { backend.orders(of: $0) })
        let launches = steps.work.compactMap { work -> (vimID: VIMID, actionID: MonitorActionID)? in
            guard case .launch(let assignment)? = work.step else { return nil }
            return (work.vimID, assignment.actionID)
        }
        owed.owe(launches, insteadOf: { changed == nil && !workload.isInHand($0) })
        if changed == nil, let first = steps.stillborn.first {
            logger.warning(
                "\(steps.stillborn.count) monitor actions ended before they ever reported",
                metadata: ["vim_id": "\(first.vimID)", "reason": "\(first.reason)"])
        }
        for assignment in steps.untold { progress.handed[assignment.vimID] = assignment }
        progress.workload.plan(steps.work, for: changed.map { $0.map(\.id) })
    }

    private func tellFailures(_ progress: inout Progress) {
        guard let first = progress.failures.first else { return }
        logger.warning(
            "\(progress.failures.count) monitor actions could not be launched or stopped, it is tried again",
            metadata: ["vim_id": "\(first.vimID)", "reason": "\(first.failure ?? "")"])
        progress.failures = []
    }

    /// How the work for one VIM went.
    fileprivate struct Outcome: Sendable {
        var vimID: VIMID
        /// What the running action was told; nil if none runs.
        var handed: MonitorAssignment?
        /// Whether that is anything new.
        var isNews: Bool
        var failure: String?
    }

    /// Stops come first: what cannot be stopped now is followed by no launch.
    private func perform(_ work: Reconciliation.Work) async -> Outcome {
        var outcome = Outcome(vimID: work.vimID, isNews: !work.keepsWanted)
        do {
            for stop in work.stops {
                try await backend.stop(work.vimID, actionID: stop.actionID)
                guard stop.wasRunning else { continue }
                await note(.noteStop(monitorNote(work.vimID, stop.actionID, reason: stop.reason)))
            }
            switch work.step {
            case .launch(let assignment)?:
                try await backend.launch(assignment)
                outcome.handed = assignment
                await note(.noteLaunch(monitorNote(work.vimID, assignment.actionID)))
            case .adjust(let assignment)?:
                outcome.handed = assignment
                if try await !backend.adjust(assignment) {
                    await conductor.assignSuccessor(
                        of: assignment.actionID, for: work.vimID, reason: .settingsChanged, detail: "")
                }
            case .replace(let actionID, let detail)?:
                logger.notice(
                    "monitor action lost, another is assigned",
                    metadata: [
                        "vim_id": "\(work.vimID)", "action_id": "\(actionID)", "reason": "\(detail)",
                    ])
                await conductor.assignSuccessor(
                    of: actionID, for: work.vimID, reason: .monitorLost, detail: detail)
            case nil: break
            }
        } catch { outcome.failure = "\(error)" }
        return outcome
    }

    private func monitorNote(
        _ vimID: VIMID, _ actionID: MonitorActionID, reason: String = ""
    ) -> MonitorNote { MonitorNote(id: vimID, actionID: actionID, backend: backend.name, reason: reason) }

    /// A note that could not be stored is not worth a retry: the monitor runs, and its reports say so.
    private func note(_ command: Command) async {
        do throws(CommandFailure) { _ = try await conductor.submit(command) } catch {
            logger.debug("a launch or stop was not noted", metadata: ["reason": "\(error.sentence)"])
        }
    }
}

/// What has ended since the last turn.
private final class EndedWork: Sendable {
    private let outcomes = Mutex<[Reconciler.Outcome]>([])

    func put(_ outcome: Reconciler.Outcome) { outcomes.withLock { $0.append(outcome) } }

    func take() -> [Reconciler.Outcome] {
        outcomes.withLock { outcomes in
            defer { outcomes = [] }
            return outcomes
        }
    }
}

extension Conductor {
    /// Makes an action with a new id the wanted one; does nothing if another is wanted already.
    ///
    /// What cannot be stored now is found again by whoever found it before.
    func assignSuccessor(
        of actionID: MonitorActionID, for vimID: VIMID, reason: AssignmentReason, detail: String
    ) async {
        var random = SystemRandomNumberGenerator()
        let wish = AssignMonitor(
            id: vimID, replacing: actionID, actionID: MonitorActionID(UniqueID(using: &random)),
            reason: reason, detail: detail)
        _ = try? await submit(.assignMonitor(wish))
    }
}
