public import EventLog
import FoundationEssentials  // base64
import Registry

/// What a signed head says: at this position the log has this seal.
///
/// Lines: origin (the key's name), position, base64 of the seal, then `epoch N` and `time RFC3339`: the shape
/// of C2SP's tlog-checkpoint, with the chain's seal in the place of a tree's root.
public struct HeadStatement: Hashable, Sendable {
    /// Whose log it is: the signing key's name.
    public var origin: String
    /// The position of the last event.
    public var position: UInt64
    /// The seal of the batch that ends there.
    public var seal: Seal
    /// Lines after the third: for people and later versions.
    public var extensions: [String] = []

    /// States a log's head.
    public init(_ head: Head, origin: String) {
        self.origin = origin
        position = head.position
        seal = head.seal
        extensions = ["epoch \(head.epoch)", "time \(Timestamp(microseconds: head.time))"]
    }

    /// Reads a note's text.
    public init(text: String) throws(NoteFault) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        guard lines.count >= 3, !lines[0].isEmpty, let position = UInt64(lines[1]), "\(position)" == lines[1],
            let data = Data(base64Encoded: lines[2]), let seal = Seal(bytes: data)
        else { throw NoteFault("it states no head: origin, position and seal are expected, a line each") }
        origin = lines[0]
        self.position = position
        self.seal = seal
        extensions = Array(lines[3...])
    }

    /// The text to sign.
    public var text: String {
        ([origin, "\(position)", Data(seal.bytes).base64EncodedString()] + extensions).map { $0 + "\n" }
            .joined()
    }

    /// Whether a log extends the stated head unchanged.
    public enum Verdict: Hashable, Sendable {
        /// It has the same seal there, and so many events after it.
        case extended(by: UInt64)
        /// It ends before the stated position.
        case truncated(head: Head)
        /// It has another seal there, or no batch that ends there: another history.
        case rewritten
        /// It lies among events that were dropped, up to this position, and not where one of their segments
        /// ended: whether it was part of this log nobody can tell any more.
        case dropped(upTo: UInt64)
    }

    /// Compares with a log whose seals were verified.
    public func verdict(on log: EventLog) throws(EventLogError) -> Verdict {
        let head = try log.refreshHead()
        guard position > 0 else { return seal == .none ? .extended(by: head.position) : .rewritten }
        guard position <= head.position else { return .truncated(head: head) }
        let own: Head
        do throws(EventLogError) { own = try log.head(at: position) } catch {
            guard case .dropped(_, let end, _) = error else { throw error }
            return .dropped(upTo: end)
        }
        return own.position == position && own.seal == seal
            ? .extended(by: head.position - position) : .rewritten
    }
}
