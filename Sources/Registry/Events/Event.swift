/// A fact in the log: what was told or seen.
///
/// All cases but the status report are indirect, so that a report, nearly every event, stays small.
public enum Event: Hashable, Sendable {
    /// A VIM was taken into the registry; first event of its stream.
    indirect case vimRegistered(VIMRegistered)
    /// A user changed a VIM.
    indirect case vimUpdated(VIMUpdated)
    /// A VIM left the registry.
    indirect case vimDeregistered(VIMDeregistered)
    /// A monitor action reported, rightly or not.
    case vimStatusReported(VIMStatusReported)
    /// Another monitor action became the wanted one.
    indirect case vimMonitorAssigned(VIMMonitorAssigned)
    /// A backend started a monitor action.
    indirect case vimMonitorLaunched(VIMMonitorNoted)
    /// A backend's monitor action ended.
    indirect case vimMonitorStopped(VIMMonitorNoted)
    /// The VIM's data key was destroyed: its credentials can no longer be read anywhere.
    case vimCredentialsShredded
    /// A register, update or deregister was refused.
    indirect case commandRefused(CommandRefused)
    /// A conductor began to write.
    indirect case epochStarted(EpochStarted)
    /// Old batches moved into a segment file.
    indirect case logArchived(LogArchived)
    /// The data keys were wrapped under another master key.
    indirect case vaultRotated(VaultRotated)
    /// Archived events were destroyed, for good.
    indirect case logDropped(LogDropped)

    /// Its number and name.
    public var type: EventType {
        switch self {
        case .vimRegistered: .vimRegistered
        case .vimUpdated: .vimUpdated
        case .vimDeregistered: .vimDeregistered
        case .vimStatusReported: .vimStatusReported
        case .vimMonitorAssigned: .vimMonitorAssigned
        case .vimMonitorLaunched: .vimMonitorLaunched
        case .vimMonitorStopped: .vimMonitorStopped
        case .vimCredentialsShredded: .vimCredentialsShredded
        case .commandRefused: .commandRefused
        case .epochStarted: .epochStarted
        case .logArchived: .logArchived
        case .vaultRotated: .vaultRotated
        case .logDropped: .logDropped
        }
    }
}

/// The one table of event types.
///
/// Numbers are stored in the log: never change or reuse one.
public enum EventType: UInt16, Sendable, CaseIterable {
    /// `vim.registered`
    case vimRegistered = 1
    /// `vim.updated`
    case vimUpdated = 2
    /// `vim.deregistered`
    case vimDeregistered = 3
    /// `vim.status_reported`
    case vimStatusReported = 4
    /// `vim.monitor_assigned`
    case vimMonitorAssigned = 5
    /// `vim.monitor_launched`
    case vimMonitorLaunched = 6
    /// `vim.monitor_stopped`
    case vimMonitorStopped = 7
    /// `vim.credentials_shredded`
    case vimCredentialsShredded = 8
    /// `conductor.command_refused`
    case commandRefused = 9
    /// `conductor.epoch_started`
    case epochStarted = 10
    /// `log.archived`
    case logArchived = 11
    /// `vault.rotated`
    case vaultRotated = 12
    /// `log.dropped`
    case logDropped = 13

    /// The name people and programs see.
    public var name: String {
        switch self {
        case .vimRegistered: "vim.registered"
        case .vimUpdated: "vim.updated"
        case .vimDeregistered: "vim.deregistered"
        case .vimStatusReported: "vim.status_reported"
        case .vimMonitorAssigned: "vim.monitor_assigned"
        case .vimMonitorLaunched: "vim.monitor_launched"
        case .vimMonitorStopped: "vim.monitor_stopped"
        case .vimCredentialsShredded: "vim.credentials_shredded"
        case .commandRefused: "conductor.command_refused"
        case .epochStarted: "conductor.epoch_started"
        case .logArchived: "log.archived"
        case .vaultRotated: "vault.rotated"
        case .logDropped: "log.dropped"
        }
    }

    /// Finds a type by its name; nil if there is none.
    public init?(name: String) {
        guard let type = EventType.allCases.first(where: { $0.name == name }) else { return nil }
        self = type
    }
}

/// A VIM was taken into the registry.
public struct VIMRegistered: Hashable, Sendable {
    /// The VIM's id: this event gives the stream its VIM.
    public var id: VIMID
    /// What the user said.
    public var configuration: VIMConfiguration
    /// Who registered it.
    public var actor: Actor

    /// All parts at once.
    public init(id: VIMID, configuration: VIMConfiguration, actor: Actor) {
        self.id = id
        self.configuration = configuration
        self.actor = actor
    }
}

/// A user changed a VIM.
public struct VIMUpdated: Hashable, Sendable {
    /// What changed; an update may change nothing and is remembered all the same.
    public var changes: VIMChanges
    /// Who changed it.
    public var actor: Actor

    /// All parts at once.
    public init(changes: VIMChanges, actor: Actor) {
        self.changes = changes
        self.actor = actor
    }
}

/// A VIM left the registry.
public struct VIMDeregistered: Hashable, Sendable {
    /// Who deregistered it.
    public var actor: Actor

    /// All parts at once.
    public init(actor: Actor) { self.actor = actor }
}

/// A monitor action reported.
public struct VIMStatusReported: Hashable, Sendable {
    /// Who reported.
    public var actionID: MonitorActionID
    /// What it claimed.
    public var status: VIMStatus
    /// What the conductor said.
    public var verdict: ReportVerdict
    /// Why the status is what it is.
    public var finding: ProbeFinding
    /// The VIM named by the report if the registry never knew it (such reports have no stream of their
    /// own and lie in stream 0); nil in a VIM's stream.
    public var unknownVIM: VIMID?

    /// All parts at once.
    public init(
        actionID: MonitorActionID, status: VIMStatus, verdict: ReportVerdict, finding: ProbeFinding,
        unknownVIM: VIMID? = nil
    ) {
        self.actionID = actionID
        self.status = status
        self.verdict = verdict
        self.finding = finding
        self.unknownVIM = unknownVIM
    }
}

/// Why another monitor action became the wanted one.
///
/// The raw value is stored in the log.
public enum AssignmentReason: UInt8, Sendable, CaseIterable {
    /// The VIM was registered.
    case registered = 1
    /// Its endpoint or credentials changed.
    case endpointChanged = 2
    /// The action before was silent past its deadline.
    case monitorLost = 3
    /// An operator asked for it.
    case operatorAsked = 4
    /// Its settings changed, and where it runs it cannot be told.
    case settingsChanged = 5
    /// Who carried the action before gave it back: it stops, or others have more room.
    case handedBack = 6

    /// The word shown to people and programs.
    public var word: String {
        switch self {
        case .registered: "registered"
        case .endpointChanged: "endpoint_changed"
        case .monitorLost: "monitor_lost"
        case .operatorAsked: "operator_asked"
        case .settingsChanged: "settings_changed"
        case .handedBack: "handed_back"
        }
    }
}

/// Another monitor action became the wanted one.
public struct VIMMonitorAssigned: Hashable, Sendable {
    /// The action now wanted.
    public var actionID: MonitorActionID
    /// Why.
    public var reason: AssignmentReason
    /// One phrase for the auditor; may be empty.
    public var detail: String
    /// Who caused it.
    public var actor: Actor

    /// All parts at once.
    public init(actionID: MonitorActionID, reason: AssignmentReason, detail: String, actor: Actor) {
        self.actionID = actionID
        self.reason = reason
        self.detail = detail
        self.actor = actor
    }
}

/// A backend started or ended a monitor action.
public struct VIMMonitorNoted: Hashable, Sendable {
    /// Which action.
    public var actionID: MonitorActionID
    /// Where it runs: `embedded`, `workers`, `mistral`.
    public var backend: String
    /// Why it ended; empty for a launch.
    public var reason: String

    /// All parts at once.
    public init(actionID: MonitorActionID, backend: String, reason: String = "") {
        self.actionID = actionID
        self.backend = backend
        self.reason = reason
    }
}

/// A register, update or deregister was refused.
public struct CommandRefused: Hashable, Sendable {
    /// `register`, `update` or `deregister`.
    public var command: String
    /// ``Refusal/word``.
    public var refusal: String
    /// ``Refusal/sentence``.
    public var sentence: String
    /// The VIM it named; nil for a registration.
    public var vimID: VIMID?
    /// Who asked.
    public var actor: Actor

    /// All parts at once.
    public init(command: String, refusal: String, sentence: String, vimID: VIMID?, actor: Actor) {
        self.command = command
        self.refusal = refusal
        self.sentence = sentence
        self.vimID = vimID
        self.actor = actor
    }
}

/// A conductor began to write.
public struct EpochStarted: Hashable, Sendable {
    /// Greater than every epoch before; every batch carries it.
    public var epoch: UInt64
    /// The version of the program.
    public var version: String
    /// The machine's name.
    public var host: String
    /// The process.
    public var processID: UInt32

    /// All parts at once.
    public init(epoch: UInt64, version: String, host: String, processID: UInt32) {
        self.epoch = epoch
        self.version = version
        self.host = host
        self.processID = processID
    }
}

/// Old batches moved into a segment file.
public struct LogArchived: Hashable, Sendable {
    /// The position of the first event that moved.
    public var firstPosition: UInt64
    /// The position of the last event that moved.
    public var lastPosition: UInt64
    /// The file's name in the archive's folder.
    public var file: String
    /// The seal of the last batch that moved, 32 bytes.
    public var lastSeal: [UInt8]
    /// How many bytes the batches had in the data file.
    public var batchByteCount: UInt64
    /// How many bytes the file has.
    public var fileByteCount: UInt64
    /// Who asked for it; the server itself, by its policy, is `vedette serve`.
    public var actor: Actor

    /// All parts at once.
    public init(
        firstPosition: UInt64, lastPosition: UInt64, file: String, lastSeal: [UInt8], batchByteCount: UInt64,
        fileByteCount: UInt64, actor: Actor
    ) {
        self.firstPosition = firstPosition
        self.lastPosition = lastPosition
        self.file = file
        self.lastSeal = lastSeal
        self.batchByteCount = batchByteCount
        self.fileByteCount = fileByteCount
        self.actor = actor
    }
}

/// Archived events were destroyed; their segments' seals remain, and the state they led to.
public struct LogDropped: Hashable, Sendable {
    /// The position of the first event that was destroyed now.
    public var firstPosition: UInt64
    /// The position of the last one: everything up to there is gone.
    public var lastPosition: UInt64
    /// How many segments they filled.
    public var segmentCount: UInt64
    /// How many bytes the segments' files had.
    public var fileByteCount: UInt64
    /// The seal of the last batch that was destroyed, 32 bytes.
    public var lastSeal: [UInt8]
    /// The seal of the log's very first batch, which names the log; 32 bytes.
    public var firstSeal: [UInt8]
    /// The SHA-256 of the base, the state that stands for what was destroyed.
    public var baseDigest: [UInt8]
    /// Who asked for it.
    public var actor: Actor

    /// All parts at once.
    public init(
        firstPosition: UInt64, lastPosition: UInt64, segmentCount: UInt64, fileByteCount: UInt64,
        lastSeal: [UInt8], firstSeal: [UInt8], baseDigest: [UInt8], actor: Actor
    ) {
        self.firstPosition = firstPosition
        self.lastPosition = lastPosition
        self.segmentCount = segmentCount
        self.fileByteCount = fileByteCount
        self.lastSeal = lastSeal
        self.firstSeal = firstSeal
        self.baseDigest = baseDigest
        self.actor = actor
    }
}

/// The data keys were wrapped under another master key.
public struct VaultRotated: Hashable, Sendable {
    /// The old master key: the first bytes of its SHA-256 as 16 hexadecimal digits.
    public var fromFingerprint: String
    /// The new one.
    public var toFingerprint: String
    /// How many data keys were wrapped anew.
    public var dataKeyCount: UInt64
    /// How many were left as they were, since the old key did not open them.
    public var unopenedCount: UInt64
    /// Who asked for it.
    public var actor: Actor

    /// All parts at once.
    public init(
        fromFingerprint: String, toFingerprint: String, dataKeyCount: UInt64, unopenedCount: UInt64,
        actor: Actor
    ) {
        self.fromFingerprint = fromFingerprint
        self.toFingerprint = toFingerprint
        self.dataKeyCount = dataKeyCount
        self.unopenedCount = unopenedCount
        self.actor = actor
    }
}

/// An event with its place in the log.
public struct PlacedEvent: Hashable, Sendable {
    /// The gapless place in the whole log, from 1.
    public var position: UInt64
    /// When it was appended; never decreasing in the log.
    public var time: Timestamp
    /// The dense number of its stream; 0 is the conductor's own.
    public var stream: UInt32
    /// The fact.
    public var event: Event

    /// All parts at once.
    public init(position: UInt64, time: Timestamp, stream: UInt32, event: Event) {
        self.position = position
        self.time = time
        self.stream = stream
        self.event = event
    }
}
