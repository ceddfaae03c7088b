/// A JSON object as text.
///
/// The domain stores such documents and hands them back; only doors look inside.
public struct JSONText: Hashable, Sendable, CustomStringConvertible {
    /// The object, as compact JSON in UTF-8.
    public let description: String

    /// Takes a text that the caller knows to be one JSON object.
    public init(_ text: String) { description = text }

    /// `{}`.
    public static let empty = JSONText("{}")
}

/// A VIM's credentials as they are stored: what may be shown, and the whole of them, encrypted.
public struct StoredCredentials: Hashable, Sendable {
    /// `auth_cred` with every secret replaced by `***`.
    public let masked: JSONText
    /// The whole `auth_cred` under the VIM's data key (AES-256-GCM: nonce, ciphertext, tag).
    public let ciphertext: [UInt8]

    /// Pairs the two forms of one document.
    public init(masked: JSONText, ciphertext: [UInt8]) {
        self.masked = masked
        self.ciphertext = ciphertext
    }
}

/// What a user said of a VIM: all that registration and updates set.
public struct VIMConfiguration: Hashable, Sendable {
    /// The owner.
    public var tenantID: String
    /// The kind of cloud.
    public var type: VIMType
    /// At most 255 characters, unique among the tenant's VIMs.
    public var name: String
    /// Free text.
    public var description: String
    /// Where the VIM's identity service or API server answers.
    public var authURL: String
    /// `vim_project`.
    public var project: JSONText
    /// `auth_cred`.
    public var credentials: StoredCredentials
    /// `placement_attr`: the regions or namespaces found at registration.
    public var placement: JSONText
    /// Whether this is the tenant's default VIM.
    public var isDefault: Bool
    /// `extra`.
    public var extra: JSONText
    /// `extra.monitor`, understood.
    public var monitor: MonitorSettings

    /// All attributes at once.
    public init(
        tenantID: String, type: VIMType, name: String, description: String = "", authURL: String,
        project: JSONText, credentials: StoredCredentials, placement: JSONText = .empty,
        isDefault: Bool = false,
        extra: JSONText = .empty, monitor: MonitorSettings = MonitorSettings()
    ) {
        self.tenantID = tenantID
        self.type = type
        self.name = name
        self.description = description
        self.authURL = authURL
        self.project = project
        self.credentials = credentials
        self.placement = placement
        self.isDefault = isDefault
        self.extra = extra
        self.monitor = monitor
    }
}

/// The part of a VIM's state that monitor actions change: small, since nearly every event touches it.
public struct Watch: Hashable, Sendable {
    /// What is known of the VIM's endpoint.
    public var status: VIMStatus
    /// Why the status is what it is, from the last accepted report.
    public var finding: ProbeFinding
    /// The one monitor action whose reports are accepted.
    public var actionID: MonitorActionID
    /// When a user last changed the VIM or its status last changed; nil before that.
    public var updatedAt: Timestamp?
    /// When the valid action last reported; nil before the first report of that action.
    public var reportedAt: Timestamp?

    /// All parts at once.
    public init(
        status: VIMStatus, finding: ProbeFinding, actionID: MonitorActionID, updatedAt: Timestamp? = nil,
        reportedAt: Timestamp? = nil
    ) {
        self.status = status
        self.finding = finding
        self.actionID = actionID
        self.updatedAt = updatedAt
        self.reportedAt = reportedAt
    }

    /// Takes a report in; true if it changed the status.
    ///
    /// The hot half of ``evolve(_:by:)``, apart so that a projection can fold reports without making a VIM.
    @discardableResult
    public mutating func evolve(by reported: VIMStatusReported, at time: Timestamp) -> Bool {
        guard reported.verdict == .accepted else { return false }
        return accept(reported.status, reported.finding, at: time)
    }

    /// Takes an accepted report's status over; true if it is another one.
    @inlinable
    @inline(__always)
    public mutating func accept(_ reported: VIMStatus, _ why: ProbeFinding, at time: Timestamp) -> Bool {
        let changed = reported != status
        if changed { updatedAt = time }
        status = reported
        finding = why
        reportedAt = time
        return changed
    }
}

/// The state of one VIM: the fold of its stream.
public struct VIM: Hashable, Sendable {
    /// Its name for ever.
    public let id: VIMID
    /// The dense number of its stream in the log, from 1.
    public let stream: UInt32
    /// What users said of it.
    public var configuration: VIMConfiguration
    /// Counts registration and updates, from 1: the expected version of the next update.
    public var version: UInt32
    /// What its monitor actions said of it.
    public var watch: Watch
    /// When it was registered.
    public var createdAt: Timestamp
    /// When it was deregistered; nil while it is watched.
    public var deregisteredAt: Timestamp?

    /// All of a VIM's state at once.
    public init(
        id: VIMID, stream: UInt32, configuration: VIMConfiguration, version: UInt32 = 1, watch: Watch,
        createdAt: Timestamp, deregisteredAt: Timestamp? = nil
    ) {
        self.id = id
        self.stream = stream
        self.configuration = configuration
        self.version = version
        self.watch = watch
        self.createdAt = createdAt
        self.deregisteredAt = deregisteredAt
    }

    /// All of a VIM's state at once, piece by piece.
    public init(
        id: VIMID, stream: UInt32, configuration: VIMConfiguration, version: UInt32 = 1,
        status: VIMStatus = .pending, finding: ProbeFinding = .unstated, actionID: MonitorActionID,
        createdAt: Timestamp, updatedAt: Timestamp? = nil, reportedAt: Timestamp? = nil,
        deregisteredAt: Timestamp? = nil
    ) {
        let watch = Watch(
            status: status, finding: finding, actionID: actionID, updatedAt: updatedAt, reportedAt: reportedAt
        )
        self.init(
            id: id, stream: stream, configuration: configuration, version: version, watch: watch,
            createdAt: createdAt, deregisteredAt: deregisteredAt)
    }

    /// What is known of its endpoint.
    public var status: VIMStatus { watch.status }
    /// Why the status is what it is, from the last accepted report.
    public var finding: ProbeFinding { watch.finding }
    /// The one monitor action whose reports are accepted.
    public var actionID: MonitorActionID { watch.actionID }
    /// When a user last changed it or its status last changed; nil before that.
    public var updatedAt: Timestamp? { watch.updatedAt }
    /// When its valid action last reported; nil before the first report of that action.
    public var reportedAt: Timestamp? { watch.reportedAt }
    /// Whether it is still watched.
    public var isRegistered: Bool { deregisteredAt == nil }
}
