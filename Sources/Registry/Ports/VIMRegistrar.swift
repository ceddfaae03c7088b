/// `auth_cred` on its way in: never stored, never logged.
public struct PlainCredentials: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The whole object, secrets in clear.
    public var whole: JSONText
    /// The same object with every secret replaced by `***`.
    public var masked: JSONText

    /// Pairs the two forms; the caller knows which keys are secret.
    public init(whole: JSONText, masked: JSONText) {
        self.whole = whole
        self.masked = masked
    }

    /// The masked form: so that printing one by mistake tells nothing.
    public var description: String { masked.description }
    /// The masked form.
    public var debugDescription: String { masked.description }
}

/// What a user says of a VIM to be registered.
public struct NewVIM: Sendable {
    /// The owner.
    public var tenantID: String
    /// The kind of cloud.
    public var type: VIMType
    /// At most 255 characters, unique among the tenant's VIMs.
    public var name: String
    /// Free text.
    public var description: String
    /// Where its identity service or API server answers.
    public var authURL: String
    /// `vim_project`.
    public var project: JSONText
    /// `auth_cred`.
    public var credentials: PlainCredentials
    /// `placement_attr`.
    public var placement: JSONText
    /// Whether it is to be the tenant's default.
    public var isDefault: Bool
    /// `extra`, with what of it is ours.
    public var extra: VIMChanges.Extra

    /// All attributes at once.
    public init(
        tenantID: String, type: VIMType, name: String, description: String = "", authURL: String,
        project: JSONText, credentials: PlainCredentials, placement: JSONText = .empty,
        isDefault: Bool = false,
        extra: VIMChanges.Extra = .init(text: .empty, monitor: MonitorSettings())
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
    }
}

/// What a user changes of a VIM; nil leaves an attribute as it is.
///
/// Objects are given whole, already merged.
public struct VIMEdit: Sendable {
    /// The new name.
    public var name: String?
    /// The new description.
    public var description: String?
    /// The new endpoint; a different one starts a new monitor action.
    public var authURL: String?
    /// The whole new `vim_project`.
    public var project: JSONText?
    /// The whole new `auth_cred`; starts a new monitor action.
    public var credentials: PlainCredentials?
    /// What the VIM said of its regions or namespaces.
    public var placement: JSONText?
    /// Whether it becomes, or ceases to be, the tenant's default.
    public var isDefault: Bool?
    /// The whole new `extra`.
    public var extra: VIMChanges.Extra?

    /// No change at all; set what changes.
    public init() {}
}

/// The registry as doors use it: credentials in clear go in, and are stored encrypted.
public protocol VIMRegistrar: Sendable {
    /// Registers a VIM and returns it once that is durable.
    func register(_ vim: NewVIM, actor: Actor) async throws(CommandFailure) -> VIM
    /// Changes a VIM and returns it once that is durable. With `expectedVersion`, an update computed from
    /// an older ``VIM/version`` is refused (``Refusal/versionConflict(expected:actual:)``) and remembered
    /// nowhere: read again and retry.
    func update(_ id: VIMID, expectedVersion: UInt32?, edit: VIMEdit, actor: Actor)
        async throws(CommandFailure)
        -> VIM
    /// Deregisters a VIM, destroys its data key, and returns it as it was once that is durable.
    func deregister(_ id: VIMID, actor: Actor) async throws(CommandFailure) -> VIM
    /// The VIM's whole `auth_cred` in clear.
    func credentials(of id: VIMID) async throws(CommandFailure) -> JSONText
}
