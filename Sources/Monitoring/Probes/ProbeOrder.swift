package import Registry

/// What to probe, and how long it may take.
package struct ProbeOrder: Hashable, Sendable {
    /// For whom; names the credentials.
    package var vimID: VIMID
    /// For which action; names the credentials.
    package var actionID: MonitorActionID
    /// What kind of probe.
    package var kind: ProbeKind
    /// The VIM's `auth_url`.
    package var authURL: String
    /// How long it may take in all, in milliseconds.
    package var timeoutMilliseconds: UInt32

    package init(
        vimID: VIMID, actionID: MonitorActionID, kind: ProbeKind, authURL: String,
        timeoutMilliseconds: UInt32
    ) {
        self.vimID = vimID
        self.actionID = actionID
        self.kind = kind
        self.authURL = authURL
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}
