/// Why etcd did not do, or may not have done, what was asked; without passwords and tokens.
public enum EtcdFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The client cannot be made of these settings.
    case unusable(String)
    /// No endpoint took the request, so it was certainly not carried out.
    case unreachable(String)
    /// The request was sent and no answer came: it may have been carried out, or may still be.
    case unanswered(String)
    /// etcd said no, and changed nothing: a gRPC status code, and its own words.
    case refused(code: Int, message: String)
    /// An answer came that cannot be understood: what was asked may have been carried out.
    case malformed(String)

    /// Whether the request may have been carried out all the same.
    public var isOutcomeUnknown: Bool {
        switch self {
        case .unanswered, .malformed: true
        case .unusable, .unreachable, .refused: false
        }
    }

    /// Whether a lease that was named has run out or was revoked.
    public var isLeaseGone: Bool {
        if case .refused(_, let message) = self {
            message.contains("requested lease not found")
        } else {
            false
        }
    }

    /// A sentence or two; the last one says what to do, where that is known.
    public var description: String {
        switch self {
        case .unusable(let sentence): sentence
        case .unreachable(let reasons):
            "no etcd takes requests: \(reasons). Start etcd, or correct the endpoints"
        case .unanswered(let reasons):
            "etcd did not answer, so what became of the request is unknown: \(reasons). "
                + "See whether a majority of its members runs"
        case .malformed(let sentence):
            "\(sentence). Name the client URL of an etcd 3.4 or newer with its JSON gateway"
        case .refused(_, let message):
            "etcd refuses: \(message)" + (EtcdFault.advice(on: message).map { ". \($0)" } ?? "")
        }
    }

    private static func advice(on message: String) -> String? {
        for (words, advice) in knownRefusals where message.contains(words) { return advice }
        return nil
    }

    private static let knownRefusals = [
        ("authentication failed", "Correct the user or the password"),
        ("user name is empty", "It asks for a user and a password; give them"),
        (
            "authentication is not enabled",
            "It asks for no password; leave the user out, or 'etcdctl auth enable'"
        ),
        ("permission denied", "Grant the user's role reading and writing of these keys"),
        ("database space exceeded", "Compact and defragment it, then 'etcdctl alarm disarm'"),
    ]
}
