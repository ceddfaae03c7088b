/// What a monitor action needs to know to do its work; holds no secret.
public struct MonitorAssignment: Hashable, Sendable {
    /// The VIM to watch.
    public var vimID: VIMID
    /// The action id to report under.
    public var actionID: MonitorActionID
    /// The kind of cloud.
    public var type: VIMType
    /// Where to probe.
    public var authURL: String
    /// What the VIM asked for; the backend fills the rest from its defaults.
    public var settings: MonitorSettings
    /// The status the registry believes, so that a resumed action reports only what is new at once.
    public var status: VIMStatus

    /// All parts at once.
    public init(
        vimID: VIMID, actionID: MonitorActionID, type: VIMType, authURL: String, settings: MonitorSettings,
        status: VIMStatus
    ) {
        self.vimID = vimID
        self.actionID = actionID
        self.type = type
        self.authURL = authURL
        self.settings = settings
        self.status = status
    }
}

/// One action as its backend shows it.
public struct MonitorSighting: Hashable, Sendable {
    /// What a backend says of an action.
    public enum State: Hashable, Sendable {
        /// It runs, as far as the backend knows; only its reports prove it.
        case running
        /// Something of it is left and it does not run; one phrase says why.
        case ended(String)
    }

    /// Which action.
    public var actionID: MonitorActionID
    /// What became of it.
    public var state: State
    /// The id under which it reports: another's where somebody copied that one.
    public var reportsAs: MonitorActionID
    /// What it was told to do, as ``MonitorBackend/orders(of:)`` words it; nil if the backend does not know.
    public var orders: String?

    /// An action and its state; it reports under its own id.
    public init(_ actionID: MonitorActionID, _ state: State = .running, orders: String? = nil) {
        self.actionID = actionID
        self.state = state
        self.orders = orders
        reportsAs = actionID
    }
}

/// Runs monitor actions somewhere: in this process, on workers, on Mistral.
///
/// The reconciler compares what the registry wants with what ``sightings(of:)`` tells, again and again, so
/// every method may be called twice for the same thing and may be lost.
public protocol MonitorBackend: Sendable {
    /// The word stored with launches and stops: `embedded`, `workers`, `mistral`.
    var name: String { get }
    /// So many launches, and so many stops beside them, may be under way at once.
    var callMax: Int { get }
    /// Whether actions live on when this process ends.
    ///
    /// Then an action that has reported and is no longer shown may run still, out of sight: it is replaced
    /// by one with a new id, and never launched a second time under its own.
    var actionsOutliveConductor: Bool { get }
    /// What an operator should look at when actions were launched and never reported; nil if nothing helps.
    var adviceOnSilence: String? { get }
    /// What an action is told to do, in words that are equal when its orders are; nil if no sighting tells.
    func orders(of assignment: MonitorAssignment) -> String?
    /// What there is of some VIMs' actions, or of all if nil.
    ///
    /// - Throws: if the backend cannot be asked now, which is not the same as that nothing runs.
    func sightings(of vims: Set<VIMID>?) async throws -> [VIMID: [MonitorSighting]]
    /// Starts an action; whatever runs in this process for the same VIM under another id is stopped first.
    func launch(_ assignment: MonitorAssignment) async throws
    /// Hands a running action new settings (same action id); does nothing if it does not run.
    ///
    /// - Returns: false if a running action cannot be told: then it needs a successor with a new id.
    func adjust(_ assignment: MonitorAssignment) async throws -> Bool
    /// Stops an action and removes what is left of it; does nothing if there is nothing.
    func stop(_ vimID: VIMID, actionID: MonitorActionID) async throws
}

extension MonitorBackend {
    /// Enough that the events of many launches share commits.
    public var callMax: Int { 256 }
    /// They end with it.
    public var actionsOutliveConductor: Bool { false }
    /// No sighting tells.
    public func orders(of assignment: MonitorAssignment) -> String? { nil }
    /// Nothing.
    public var adviceOnSilence: String? { nil }
}

/// Tells a backend whose actions run elsewhere what the registry wants, at the moment it is asked.
public protocol AssignmentSource: Sendable {
    /// What a VIM wants of its monitor action; nil if it is not registered.
    func assignment(of vimID: VIMID) -> MonitorAssignment?
    /// Whether an action is the wanted one and has reported: it was started, whoever remembers it.
    func hasReported(_ actionID: MonitorActionID, of vimID: VIMID) -> Bool
    /// The wanted actions of all registered VIMs.
    func wantedActions() -> [VIMID: MonitorActionID]
}

/// Gives monitors what a probe needs and the assignment must not hold.
public protocol CredentialSource: Sendable {
    /// The VIM's whole `auth_cred` in clear, as JSON; nil if the VIM is gone, the action is not the
    /// wanted one, or the data key cannot be read.
    func credentials(of vimID: VIMID, for actionID: MonitorActionID) async -> JSONText?
}
