/// How a VIM wants to be watched (`extra.monitor`); what is nil follows the server's defaults.
public struct MonitorSettings: Hashable, Sendable {
    /// Which probe; nil means the one that suits the VIM's type.
    public var probe: ProbeKind?
    /// From one probe's start to the next, in milliseconds.
    public var intervalMilliseconds: UInt32?
    /// How long one probe may take, in milliseconds.
    public var timeoutMilliseconds: UInt32?
    /// So many failed probes in a row make a reachable VIM unreachable.
    public var failureThreshold: UInt32?
    /// So many answered probes in a row make an unreachable VIM reachable.
    public var successThreshold: UInt32?

    /// Settings; everything left out follows the server's defaults.
    public init(
        probe: ProbeKind? = nil, intervalMilliseconds: UInt32? = nil, timeoutMilliseconds: UInt32? = nil,
        failureThreshold: UInt32? = nil, successThreshold: UInt32? = nil
    ) {
        self.probe = probe
        self.intervalMilliseconds = intervalMilliseconds
        self.timeoutMilliseconds = timeoutMilliseconds
        self.failureThreshold = failureThreshold
        self.successThreshold = successThreshold
    }

    /// These settings, with what they leave out taken from `defaults`.
    public func filled(from defaults: MonitorSettings) -> MonitorSettings {
        MonitorSettings(
            probe: probe ?? defaults.probe,
            intervalMilliseconds: intervalMilliseconds ?? defaults.intervalMilliseconds,
            timeoutMilliseconds: timeoutMilliseconds ?? defaults.timeoutMilliseconds,
            failureThreshold: failureThreshold ?? defaults.failureThreshold,
            successThreshold: successThreshold ?? defaults.successThreshold)
    }
}

/// The kinds of reachability measurement.
///
/// The raw value is the word used in the API and stored in the log.
public enum ProbeKind: String, Sendable, CaseIterable {
    /// GET of the identity endpoint's version document, over HTTP or HTTPS as `auth_url` says.
    case http
    /// GET of `/version` with the VIM's credentials and CA.
    case kubernetes
    /// Opening a TCP connection to the host and port of `auth_url`.
    case tcp
    /// An ICMP echo to the host of `auth_url`, version 4 or 6 as its address asks.
    case icmp
}

/// What kind of cloud a VIM is.
///
/// The raw value is the word used in the API and stored in the log.
public enum VIMType: String, Sendable, CaseIterable {
    /// An OpenStack cloud, known by its Keystone.
    case openstack
    /// A Kubernetes cluster, known by its API server.
    case kubernetes

    /// The probe that suits this type when nobody says otherwise.
    public var defaultProbe: ProbeKind {
        switch self {
        case .openstack: .http
        case .kubernetes: .kubernetes
        }
    }
}
