public import Logging
public import Registry

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
        await withTaskGroup(of: Void.self) { group in
            let (ticks, tick) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                for await _ in conductor.changeSignals { tick.yield() }
                tick.finish()
            }
            group.addTask {
                let interval = min(fullPassInterval, Reconciler.retryInterval)
                while (try? await Task.sleep(for: interval)) != nil { tick.yield() }
            }
            tick.yield()
            var progress = Progress()
            for await _ in ticks { await turn(&progress) }
            group.cancelAll()
        }
    }

    /// What one turn leaves to the next.
    private struct Progress {
        var handed: [VIMID: MonitorAssignment] = [:]
        var nextFullPass = ContinuousClock.now
        /// Whether the backend could not be asked; so that it is said once.
        var isAway = false
    }

    private func turn(_ progress: inout Progress) async {
        let changed = conductor.takeChangedVIMs()
        let isFull = ContinuousClock.now >= progress.nextFullPass
        guard isFull || !changed.isEmpty else { return }
        let vims = isFull ? conductor.registeredVIMs() : changed
        let sightings: [VIMID: [MonitorSighting]]
        do {
            sightings = try await backend.sightings(of: isFull ? nil : Set(changed.map(\.id)))
        } catch {
            if Task.isCancelled { return }
            // Who changed is forgotten with this turn; the next one looks at all.
            owed.owe(changed.filter(\.isRegistered).map { ($0.id, $0.actionID) }, isComplete: false)
            if !progress.isAway {
                logger.warning(
                    "monitor actions cannot be launched or stopped now; it is tried again and again",
                    metadata: ["backend": "\(backend.name)", "reason": "\(error)"])
            }
            progress.isAway = true
            progress.nextFullPass = .now
            return
        }
        if progress.isAway { logger.notice("the backend of monitor actions is back") }
        progress.isAway = false
        let isClean = await pass(over: vims, isFull: isFull, sightings: sightings, handed: &progress.handed)
        if isFull || !isClean { progress.nextFullPass = isClean ? .now + fullPassInterval : .now }
    }

    /// One comparison; returns when everything it found was done or failed, and whether all was done.
    private func pass(
        over vims: [VIM], isFull: Bool, sightings: [VIMID: [MonitorSighting]],
        handed: inout [VIMID: MonitorAssignment]
    ) async -> Bool {
        var wanted = vims
        if isFull {
            let seen = Set(vims.lazy.map(\.id))
            // Those that the registry has never known are nil here, and somebody else's.
            wanted += sightings.keys.lazy.filter { !seen.contains($0) }.compactMap { conductor.vim($0) }
        }
        let steps = Reconciliation(
            wanted: wanted, sightings: sightings, handed: handed,
            actionsOutliveConductor: backend.actionsOutliveConductor, orders: { backend.orders(of: $0) })
        let launches = steps.work.compactMap { work -> (vimID: VIMID, actionID: MonitorActionID)? in
            guard case .launch(let assignment)? = work.step else { return nil }
            return (work.vimID, assignment.actionID)
        }
        owed.owe(launches, isComplete: isFull)
        if isFull, let first = steps.stillborn.first {
            logger.warning(
                "\(steps.stillborn.count) monitor actions ended before they ever reported",
                metadata: ["vim_id": "\(first.vimID)", "reason": "\(first.reason)"])
        }
        for assignment in steps.untold { handed[assignment.vimID] = assignment }
        let outcomes = await perform(steps.work)
        for outcome in outcomes where outcome.failure == nil && outcome.isNews {
            handed[outcome.vimID] = outcome.handed
        }
        let failures = outcomes.filter { $0.failure != nil }
        if let first = failures.first {
            logger.warning(
                "\(failures.count) monitor actions could not be launched or stopped, it will be tried again",
                metadata: ["vim_id": "\(first.vimID)", "reason": "\(first.failure ?? "")"])
        }
        return failures.isEmpty
    }

    /// How the work for one VIM went.
    private struct Outcome: Sendable {
        var vimID: VIMID
        /// What the running action was told; nil if none runs.
        var handed: MonitorAssignment?
        /// Whether that is anything new.
        var isNews: Bool
        var failure: String?
    }

    private func perform(_ work: [Reconciliation.Work]) async -> [Outcome] {
        await withTaskGroup(of: Outcome.self) { group in
            var outcomes: [Outcome] = []
            for (index, item) in work.enumerated() {
                if index >= backend.callMax, let outcome = await group.next() { outcomes.append(outcome) }
                group.addTask { await perform(item) }
            }
            for await outcome in group { outcomes.append(outcome) }
            return outcomes
        }
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
                owed.settle(work.vimID)
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
