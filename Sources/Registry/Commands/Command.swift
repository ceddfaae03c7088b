/// A wish put to the conductor.
///
/// It may be refused; what was decided is in the events.
///
/// Commands carry everything that is random or comes from outside (ids, ciphertexts, reports), so that
/// ``decide(_:on:)`` needs neither a clock nor a random source.
public enum Command: Sendable {
    /// Take a VIM into the registry.
    indirect case register(RegisterVIM)
    /// Change what was said of a VIM.
    indirect case update(UpdateVIM)
    /// Stop watching a VIM and forget its credentials.
    indirect case deregister(DeregisterVIM)
    /// A monitor action's claim.
    case report(StatusReport)
    /// Make another action the wanted one.
    indirect case assignMonitor(AssignMonitor)
    /// Remember that a backend started an action.
    indirect case noteLaunch(MonitorNote)
    /// Remember that a backend's action ended.
    indirect case noteStop(MonitorNote)
    /// Remember that a conductor began to lead.
    indirect case startEpoch(EpochStarted)
    /// Remember that old batches were archived.
    indirect case noteArchived(LogArchived)
    /// Remember that archived events were destroyed.
    indirect case noteDropped(LogDropped)
    /// Remember that the data keys were wrapped under another master key.
    indirect case noteVaultRotated(VaultRotated)
}

/// The wish to register a VIM.
public struct RegisterVIM: Sendable {
    /// A fresh id for the VIM.
    public var id: VIMID
    /// A fresh id for its first monitor action.
    public var actionID: MonitorActionID
    /// What the user said of it.
    public var configuration: VIMConfiguration
    /// Who asks.
    public var actor: Actor

    /// A wish with fresh ids chosen by the caller.
    public init(id: VIMID, actionID: MonitorActionID, configuration: VIMConfiguration, actor: Actor) {
        self.id = id
        self.actionID = actionID
        self.configuration = configuration
        self.actor = actor
    }
}

/// The changes an update makes; nil leaves an attribute as it is.
public struct VIMChanges: Hashable, Sendable {
    /// The new name.
    public var name: String?
    /// The new description.
    public var description: String?
    /// The new endpoint.
    public var authURL: String?
    /// The whole new `vim_project`.
    public var project: JSONText?
    /// The whole new `auth_cred`.
    public var credentials: StoredCredentials?
    /// What the VIM said of its regions or namespaces.
    public var placement: JSONText?
    /// Whether it becomes, or ceases to be, the tenant's default.
    public var isDefault: Bool?
    /// The whole new `extra`, with the monitor settings understood from it.
    public var extra: Extra?

    /// `extra` and what of it is ours; they change together.
    public struct Extra: Hashable, Sendable {
        /// The whole object.
        public var text: JSONText
        /// `extra.monitor`, understood.
        public var monitor: MonitorSettings

        /// Pairs the object with what was understood from it.
        public init(text: JSONText, monitor: MonitorSettings) {
            self.text = text
            self.monitor = monitor
        }
    }

    /// No change at all; set what changes.
    public init() {}
}

/// The wish to change a VIM.
public struct UpdateVIM: Sendable {
    /// Which VIM.
    public var id: VIMID
    /// The ``VIM/version`` from which the changes were computed; nil if they hold whatever it is.
    public var expectedVersion: UInt32?
    /// What changes.
    public var changes: VIMChanges
    /// A fresh action id, used if the endpoint or the credentials change.
    public var actionID: MonitorActionID
    /// Who asks.
    public var actor: Actor

    /// A wish with a fresh action id chosen by the caller.
    public init(
        id: VIMID, expectedVersion: UInt32?, changes: VIMChanges, actionID: MonitorActionID, actor: Actor
    ) {
        self.id = id
        self.expectedVersion = expectedVersion
        self.changes = changes
        self.actionID = actionID
        self.actor = actor
    }
}

/// The wish to deregister a VIM.
public struct DeregisterVIM: Sendable {
    /// Which VIM.
    public var id: VIMID
    /// Who asks.
    public var actor: Actor

    /// A wish.
    public init(id: VIMID, actor: Actor) {
        self.id = id
        self.actor = actor
    }
}

/// What a monitor action claims: `update_vim(vim_id, status, action_id)`.
public struct StatusReport: Sendable {
    /// Which VIM was probed.
    public var id: VIMID
    /// What was found; never ``VIMStatus/pending``.
    public var status: VIMStatus
    /// Who probed it.
    public var actionID: MonitorActionID
    /// Why the status is what it is.
    public var finding: ProbeFinding

    /// A claim.
    public init(id: VIMID, status: VIMStatus, actionID: MonitorActionID, finding: ProbeFinding = .unstated) {
        self.id = id
        self.status = status
        self.actionID = actionID
        self.finding = finding
    }
}

/// The answer to ``StatusReport``.
public enum ReportAnswer: Hashable, Sendable {
    /// The status was taken.
    case accepted(VIMStatus)
    /// The action is no longer the wanted one and must exit.
    case badAction

    /// The word that travels back to the action.
    public var word: String {
        switch self {
        case .accepted(let status): status.word
        case .badAction: "bad_action"
        }
    }
}

/// The wish to make another action the wanted one, because the present one is lost or somebody asked.
public struct AssignMonitor: Sendable {
    /// Which VIM.
    public var id: VIMID
    /// The action believed to be the wanted one; if it no longer is, nothing happens.
    public var replacing: MonitorActionID
    /// A fresh id for the new action.
    public var actionID: MonitorActionID
    /// Why.
    public var reason: AssignmentReason
    /// One phrase for the auditor: how long it was silent, who asked.
    public var detail: String
    /// Who asks.
    public var actor: Actor

    /// A wish with a fresh action id chosen by the caller.
    public init(
        id: VIMID, replacing: MonitorActionID, actionID: MonitorActionID, reason: AssignmentReason,
        detail: String,
        actor: Actor = .conductor
    ) {
        self.id = id
        self.replacing = replacing
        self.actionID = actionID
        self.reason = reason
        self.detail = detail
        self.actor = actor
    }
}

/// What a backend says of a monitor action that began or ended.
public struct MonitorNote: Sendable {
    /// Which VIM.
    public var id: VIMID
    /// Which action.
    public var actionID: MonitorActionID
    /// Where it runs: `embedded`, `workers`, `mistral`.
    public var backend: String
    /// Why it ended; empty for a launch.
    public var reason: String

    /// A note.
    public init(id: VIMID, actionID: MonitorActionID, backend: String, reason: String = "") {
        self.id = id
        self.actionID = actionID
        self.backend = backend
        self.reason = reason
    }
}
