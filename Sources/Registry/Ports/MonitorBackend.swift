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

/// Runs monitor actions somewhere: in this process, on workers, on Mistral.
///
/// The reconciler compares what the registry wants with what ``running()`` tells, again and again, so
/// every method may be called twice for the same thing and may be lost.
public protocol MonitorBackend: Sendable {
    /// The word stored with launches and stops: `embedded`, `workers`, `mistral`.
    var name: String { get }
    /// The actions that run now, as far as the backend knows.
    func running() async -> [VIMID: MonitorActionID]
    /// Starts an action; whatever runs for the same VIM under another id is stopped first.
    func launch(_ assignment: MonitorAssignment) async throws
    /// Hands a running action new settings (same action id); does nothing if it does not run.
    func adjust(_ assignment: MonitorAssignment) async
    /// Stops an action; does nothing if it does not run.
    func stop(_ vimID: VIMID, actionID: MonitorActionID) async
}

/// Gives monitors what a probe needs and the assignment must not hold.
public protocol CredentialSource: Sendable {
    /// The VIM's whole `auth_cred` in clear, as JSON; nil if the VIM is gone, the action is not the
    /// wanted one, or the data key cannot be read.
    func credentials(of vimID: VIMID, for actionID: MonitorActionID) async -> JSONText?
}
