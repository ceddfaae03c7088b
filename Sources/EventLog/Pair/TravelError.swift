/// Why a batch of the pair's other log was not taken, or could not be had.
public enum TravelError: Error, Hashable, Sendable {
    /// It does not follow the end of this log, at this position; nothing was written.
    case doesNotFollow(end: UInt64, what: String)
    /// It is not what the sender has; position 0 if it is not known where. Nothing was written.
    case damaged(position: UInt64, what: String)
    /// It was sent by a later version; nothing was written.
    case newerFormat(found: UInt16, known: UInt16)
    /// It says at a position what this version does not know; nothing was written.
    case unknown(position: UInt64, what: String)
    /// This log could not be written or read, or no longer holds what was asked for.
    case log(EventLogError)

    /// One sentence: what, where, and what to do.
    public var sentence: String {
        switch self {
        case .doesNotFollow(let end, let what):
            "a batch from the pair's other node does not follow position \(end), the end of this log: \(what)"
        case .damaged(let position, let what):
            "a batch from the pair's other node is damaged"
                + (position == 0 ? "" : " at position \(position)") + ": \(what); it is sent again"
        case .newerFormat(let found, let known):
            "the pair's other node sends format \(found), this version knows formats up to \(known): "
                + "update this node, too"
        case .unknown(let position, let what):
            "the pair's other node sends at position \(position) what this version does not know: \(what): "
                + "update this node, too"
        case .log(let error): error.sentence
        }
    }

    /// What the sender knows and this version does not; nil if that is not what is wrong.
    public var unknownPart: String? {
        switch self {
        case .newerFormat(let found, let known): "format \(found) of batches, the newest known is \(known)"
        case .unknown(let position, let what): "\(what), at position \(position)"
        case .doesNotFollow, .damaged, .log: nil
        }
    }
}
