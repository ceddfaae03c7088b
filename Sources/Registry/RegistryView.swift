/// What ``decide(_:on:)`` asks of the registry's state.
///
/// The conductor answers with everything decided so far, also what is not yet durable.
public protocol RegistryView {
    /// The VIM, also if it was deregistered; nil if there never was one.
    func vim(_ id: VIMID) -> VIM?
    /// What a status report is judged by; nil if there never was such a VIM.
    func monitorFacts(_ id: VIMID) -> MonitorFacts?
    /// The registered VIM of that name.
    func vimID(named name: String, of tenantID: String) -> VIMID?
    /// The registered default VIM of a tenant.
    func defaultVIMID(of tenantID: String) -> VIMID?
    /// The number the next new stream gets.
    var nextStream: UInt32 { get }
}

/// The part of a VIM's state that status reports touch: small, since nearly every event reads it.
public struct MonitorFacts: Hashable, Sendable {
    /// The VIM's stream.
    public var stream: UInt32
    /// The wanted action.
    public var actionID: MonitorActionID
    /// Whether the VIM is still watched.
    public var isRegistered: Bool

    /// All parts at once.
    public init(stream: UInt32, actionID: MonitorActionID, isRegistered: Bool) {
        self.stream = stream
        self.actionID = actionID
        self.isRegistered = isRegistered
    }
}
