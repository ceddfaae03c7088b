public import HTTPTypes

/// What a server is to its pair; a server alone always serves.
public enum Standing: Hashable, Sendable {
    /// It leads: its answers count.
    case serves
    /// It follows the one whose API answers at `leader` (`host:port`), and last heard of it so long ago; nil
    /// if it never did.
    case follows(leader: String?, silence: Duration?)
    /// Nobody leads, as far as it knows; one phrase says why.
    case nobodyServes(String)
}

/// Tells doors what their server is to its pair.
public protocol ServingRole: Sendable {
    /// What it is now.
    var standing: Standing { get }
    /// Carries a request to the leader and its answer back.
    ///
    /// - Throws: ``ForwardFault``.
    func forward(_ request: ForwardedRequest, to leader: String) async throws(ForwardFault) -> ForwardedReply
}

/// A request on its way to the leader.
public struct ForwardedRequest: Sendable {
    /// Method, path and headers as they came.
    public var head: HTTPRequest
    /// The whole body.
    public var body: [UInt8]
}

/// The leader's answer.
public struct ForwardedReply: Sendable {
    /// The status code.
    public var status: Int
    /// All headers.
    public var headers: HTTPFields
    /// The whole body.
    public var body: [UInt8]

    /// All parts at once.
    public init(status: Int, headers: HTTPFields, body: [UInt8]) {
        (self.status, self.headers, self.body) = (status, headers, body)
    }
}

/// Why a request was not answered by the leader.
public enum ForwardFault: Error, Hashable, Sendable {
    /// It did not get there: nothing was done.
    case notSent
    /// It may have got there, and no answer came.
    case noAnswer
}

extension HTTPField.Name {
    /// Sent by who takes an answer that may be stale; in the answer, for how many seconds it may be.
    static let staleness = named("Vedette-Staleness")
    /// On a request that another node of the pair carries here.
    static let forwarded = named("Vedette-Forwarded")
    /// On the answer to such a request where the node asked does not lead: nothing was done.
    static let notLeading = named("Vedette-Not-Leading")
    /// What concerns one connection and is not carried on.
    static let ofConnection = [HTTPField.Name.connection, .transferEncoding, .upgrade, named("Keep-Alive")]
    /// Who asked the node that forwarded.
    static let forwardedFor = named("X-Forwarded-For")

    private static func named(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else {
            preconditionFailure("a header name of letters and hyphens is a header name")
        }
        return name
    }
}
