/// What an operator may choose about the REST door.
public struct RESTConfiguration: Sendable {
    /// Whether a registration contacts the VIM.
    public enum RegistrationCheck: String, Sendable, CaseIterable {
        /// A VIM that does not answer, or refuses the credentials, is not registered.
        case required
        /// The VIM is not contacted: its monitor will tell. Regions stay unknown.
        case deferred
    }

    /// Answer with Tacker's own status codes, 500 for nearly everything that went wrong.
    public var legacyStatusCodes: Bool
    /// Whether registrations and changes of credentials contact the VIM.
    public var registrationCheck: RegistrationCheck
    /// The tenant of VIMs registered without authentication and without `tenant_id`.
    public var defaultTenantID: String
    /// Shown at `/healthz/live`.
    public var serverVersion: String
    /// The newest signed head, as a note; nil where none is published.
    public var publishedHead: @Sendable () -> String? = { nil }
    /// What this server is to its pair; nil for a server alone.
    public var role: (any ServingRole)?
    /// The longest request body, in bytes.
    public var bodyByteMax: Int
    /// The longest request target, in bytes.
    public var targetByteMax: Int
    /// The longest header line, in bytes.
    public var headerByteMax: Int
    /// How long a caller may take to send a body.
    public var bodyTimeout: Duration
    /// How long a connection may stay open without a request.
    public var idleTimeout: Duration
    /// How many connections are open at once; further ones wait to be taken.
    public var connectionMax: Int

    /// A configuration; limits as Tacker has them, and 1 MiB for bodies.
    public init(
        legacyStatusCodes: Bool = false, registrationCheck: RegistrationCheck = .required,
        defaultTenantID: String = "default", serverVersion: String, bodyByteMax: Int = 1 << 20,
        targetByteMax: Int = 8_192, headerByteMax: Int = 16_384, bodyTimeout: Duration = .seconds(30),
        idleTimeout: Duration = .seconds(75), connectionMax: Int = 4_096
    ) {
        self.legacyStatusCodes = legacyStatusCodes
        self.registrationCheck = registrationCheck
        self.defaultTenantID = defaultTenantID
        self.serverVersion = serverVersion
        self.bodyByteMax = bodyByteMax
        self.targetByteMax = targetByteMax
        self.headerByteMax = headerByteMax
        self.bodyTimeout = bodyTimeout
        self.idleTimeout = idleTimeout
        self.connectionMax = connectionMax
    }
}
