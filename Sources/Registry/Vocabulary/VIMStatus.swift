/// What is known of a VIM's endpoint.
///
/// The raw value is the byte stored in the log.
public enum VIMStatus: UInt8, Sendable, CaseIterable {
    /// No monitor action has spoken yet.
    case pending = 0
    /// The last accepted report found the endpoint answering.
    case reachable = 1
    /// The last accepted report found the endpoint not answering.
    case unreachable = 2

    /// The word that the API shows and monitor actions send.
    public var word: String {
        switch self {
        case .pending: "PENDING"
        case .reachable: "REACHABLE"
        case .unreachable: "UNREACHABLE"
        }
    }

    /// Reads a word as a monitor action may claim it; `PENDING` is not a claim, so it is nil.
    public init?(reportedWord word: String) {
        switch word {
        case "REACHABLE": self = .reachable
        case "UNREACHABLE": self = .unreachable
        default: return nil
        }
    }
}

/// What the conductor said to a status report.
///
/// The raw value is the byte stored in the log.
public enum ReportVerdict: UInt8, Sendable, CaseIterable {
    /// The report came from the valid action; its status is the VIM's status.
    case accepted = 1
    /// The action is not the wanted one, or the VIM is unknown or deregistered.
    case badAction = 2

    /// The word shown to people.
    public var word: String {
        switch self {
        case .accepted: "accepted"
        case .badAction: "bad_action"
        }
    }
}
