/// The answer to a command that was not refused.
public enum Outcome: Sendable {
    /// The VIM as it is after the command (registered, updated, deregistered).
    indirect case vim(VIM)
    /// The answer to a status report.
    case reported(ReportAnswer)
    /// A new action was assigned, or a note was taken.
    case noted
    /// Nothing had to be done: what was asked for no longer applies.
    case ignored
}

/// Why a command was refused: the typed no.
public enum Refusal: Error, Hashable, Sendable {
    /// The tenant already has a VIM of that name.
    case nameTaken(String)
    /// The tenant already has this default VIM.
    case defaultExists(VIMID)
    /// No such VIM, or it was deregistered.
    case vimNotFound(VIMID)
    /// The VIM is not at the version from which the changes were computed; read it again and retry.
    case versionConflict(expected: UInt32, actual: UInt32)
    /// The word is neither `REACHABLE` nor `UNREACHABLE`.
    case unknownStatus(String)
    /// The command would append an event larger than the log takes; the size is in bytes.
    case tooLarge(byteCount: Int, byteMax: Int)

    /// The refusal as one snake_case word, stored in the log.
    public var word: String {
        switch self {
        case .nameTaken: "name_taken"
        case .defaultExists: "default_exists"
        case .vimNotFound: "vim_not_found"
        case .versionConflict: "version_conflict"
        case .unknownStatus: "unknown_status"
        case .tooLarge: "too_large"
        }
    }

    /// One sentence for people.
    public var sentence: String {
        switch self {
        case .nameTaken(let name): "a VIM named '\(name)' is already registered for this tenant"
        case .defaultExists(let id): "the tenant already has a default VIM, \(id)"
        case .vimNotFound(let id): "no VIM \(id) is registered"
        case .versionConflict(let expected, let actual):
            "the VIM is at version \(actual), not \(expected): read it again and retry"
        case .unknownStatus(let word): "unknown status '\(word)': expected REACHABLE or UNREACHABLE"
        case .tooLarge(let count, let max):
            "the event would take \(count) bytes; the log takes at most \(max)"
        }
    }
}

/// Why a command got no outcome.
public enum CommandFailure: Error, Hashable, Sendable {
    /// It was decided: no.
    case refused(Refusal)
    /// It was not stored, and nothing changed; the text says why and what to do. Retrying is safe.
    case notStored(String)
    /// The conductor has stopped or is stopping. Nothing changed.
    case stopped
    /// The conductor does not lead its pair, or not for much longer. Nothing changed: ask the one that does.
    case notLeading
    /// The conductor lost the lead of its pair while the command waited: it may be stored, or become so, or
    /// not. Whoever leads now knows.
    case outcomeUnknown

    /// One sentence for people.
    public var sentence: String {
        switch self {
        case .refused(let refusal): refusal.sentence
        case .notStored(let reason): reason
        case .stopped: "the conductor is stopping"
        case .notLeading: "this server does not lead its pair now: try again"
        case .outcomeUnknown:
            "the conductor lost the lead meanwhile: ask the one that leads now whether this was done"
        }
    }
}
