public import Registry

/// What has to be done so that what there is becomes what is wanted: pure.
///
/// What a backend shows of VIMs that the registry has never known belongs to somebody else, and is left
/// alone: a Mistral may serve several conductors.
struct Reconciliation {
    /// What one VIM needs, in this order: stops, then the step.
    struct Work: Equatable {
        var vimID: VIMID
        var stops: [Stop] = []
        var step: Step?
        /// Whether the wanted action runs and stays as it is.
        var keepsWanted = false
    }

    struct Stop: Equatable {
        var actionID: MonitorActionID
        var reason: String
        /// Whether it ran; what only has to be removed is no news for the auditor.
        var wasRunning: Bool
    }

    enum Step: Equatable {
        case launch(MonitorAssignment)
        case adjust(MonitorAssignment)
        /// The action was there and is no longer: another must take its place.
        case replace(MonitorActionID, detail: String)
    }

    /// The VIMs that need something.
    private(set) var work: [Work] = []
    /// Actions that ended before they ever reported, with why: supervision gives them successors, at a pace
    /// that a fault which kills every one of them cannot drive.
    private(set) var stillborn: [(vimID: VIMID, reason: String)] = []
    /// What actions found running are taken to have been told, by a conductor before this one.
    private(set) var untold: [MonitorAssignment] = []

    /// - Parameters:
    ///   - wanted: VIMs to look at; deregistered ones want nothing.
    ///   - sightings: what the backend shows of them.
    ///   - handed: what the running actions were told last; what is not in it counts as told.
    ///   - actionsOutliveConductor: see ``MonitorBackend``.
    ///   - orders: see ``MonitorBackend``.
    init(
        wanted: [VIM], sightings: [VIMID: [MonitorSighting]], handed: [VIMID: MonitorAssignment],
        actionsOutliveConductor: Bool = false, orders: (MonitorAssignment) -> String? = { _ in nil }
    ) {
        for vim in wanted {
            var work = Work(vimID: vim.id)
            var found: MonitorSighting?
            for sighting in sightings[vim.id] ?? [] {
                if vim.isRegistered, sighting.actionID == vim.actionID {
                    found = sighting
                    continue
                }
                // First another id, at which both end; what is left of them is removed after that.
                if vim.isRegistered, sighting.reportsAs == vim.actionID {
                    work.step = .replace(vim.actionID, detail: "another reports under its id, too")
                }
                work.stops.append(
                    Stop(
                        actionID: sighting.actionID,
                        reason: vim.isRegistered ? "replaced by \(vim.actionID)" : "deregistered",
                        wasRunning: sighting.state == .running))
            }
            if work.step != nil {
                work.stops = []
            } else if vim.isRegistered {
                let assignment = MonitorAssignment(vim)
                let told = found?.orders.map { $0 == orders(assignment) }
                if found?.state == .running, handed[vim.id] == nil { untold.append(assignment) }
                work.step = step(
                    for: vim, found: found?.state,
                    isLaunched: vim.reportedAt != nil || handed[vim.id]?.actionID == vim.actionID,
                    isTold: told ?? !(handed[vim.id]?.differsInOrders(from: assignment) ?? false),
                    outlives: actionsOutliveConductor)
            }
            work.keepsWanted = found?.state == .running && work.step == nil
            if !work.stops.isEmpty || work.step != nil { self.work.append(work) }
        }
    }

    private mutating func step(
        for vim: VIM, found: MonitorSighting.State?, isLaunched: Bool, isTold: Bool, outlives: Bool
    ) -> Step? {
        let assignment = MonitorAssignment(vim)
        switch found {
        case .running: return isTold ? nil : .adjust(assignment)
        case .ended(let reason):
            if vim.reportedAt != nil { return .replace(vim.actionID, detail: reason) }
            stillborn.append((vim.id, reason))
            return nil
        case nil:
            guard outlives, isLaunched else { return .launch(assignment) }
            return .replace(vim.actionID, detail: "nothing is left of it where it ran")
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
