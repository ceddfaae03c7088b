/// Why a probe ended as it did, small enough to be stored with every status report (six bytes).
public struct ProbeFinding: Hashable, Sendable {
    /// What ended the probe.
    ///
    /// Raw values are stored in the log in six bits: never reuse one.
    public enum Reason: UInt8, Sendable, CaseIterable {
        /// The reporter gave no reason (a foreign monitor action).
        case unstated = 0
        /// The endpoint answered as it should; detail is the HTTP status, 0 for other probes.
        case answered = 1
        /// The endpoint answered HTTP with a status that counts as failure; detail is the status.
        case httpStatus = 2
        /// No answer within the probe's timeout; detail is the phase, a `ProbePhase` raw value.
        case timedOut = 3
        /// The host name could not be resolved.
        case resolveFailed = 4
        /// The connection was refused; detail is the errno.
        case connectionRefused = 5
        /// No connection for another reason; detail is the errno, 0 if unknown.
        case connectFailed = 6
        /// The TLS handshake failed.
        case tlsFailed = 7
        /// The server's certificate is not trusted, has expired or names another host.
        case certificateRefused = 8
        /// The connection closed before a whole answer came.
        case connectionClosed = 9
        /// What came back is not the protocol spoken (HTTP, ICMP).
        case malformedAnswer = 10
        /// A router answered for the host: unreachable; detail is the ICMP code.
        case hostUnreachable = 11
        /// The probe could not be made on this machine (no permission, no socket, bad settings).
        case proberFailed = 12
    }

    /// What ended the probe.
    public let reason: Reason
    /// A number that belongs to the reason, at most 1,023; larger values are stored as 1,023.
    public let detail: UInt16
    /// From the first step of the probe to its end, in microseconds, at most about 71 minutes.
    public let roundTripMicroseconds: UInt32

    /// A finding; `detail` above 1,023 is cut to 1,023.
    @inlinable
    public init(_ reason: Reason, detail: UInt16 = 0, roundTripMicroseconds: UInt32 = 0) {
        self.reason = reason
        self.detail = min(detail, 1_023)
        self.roundTripMicroseconds = roundTripMicroseconds
    }

    /// The finding of a reporter that says nothing but the status.
    public static let unstated = ProbeFinding(.unstated)

    /// Reason in the upper six bits, detail in the lower ten.
    @inlinable public var packed: UInt16 { UInt16(reason.rawValue) << 10 | detail }

    /// Reads the packed form; a reason that this version does not know reads as `unstated`.
    @inlinable
    public init(packed: UInt16, roundTripMicroseconds: UInt32) {
        let reason = Reason(rawValue: UInt8(packed >> 10)) ?? .unstated
        self.init(reason, detail: packed & 1_023, roundTripMicroseconds: roundTripMicroseconds)
    }

    /// One phrase that tells an operator why; empty if the reporter gave no reason.
    public var sentence: String {
        switch reason {
        case .unstated: ""
        case .answered: detail == 0 ? "answered" : "answered HTTP \(detail)"
        case .httpStatus: "answered HTTP \(detail)"
        case .timedOut: "timed out" + (ProbePhase(rawValue: detail).map { " in \($0.word)" } ?? "")
        case .resolveFailed: "host name could not be resolved"
        case .connectionRefused: "connection refused"
        case .connectFailed: "could not connect" + (detail == 0 ? "" : " (errno \(detail))")
        case .tlsFailed: "TLS handshake failed"
        case .certificateRefused: "server certificate not trusted"
        case .connectionClosed: "connection closed before an answer"
        case .malformedAnswer: "malformed answer"
        case .hostUnreachable: "host unreachable (ICMP code \(detail))"
        case .proberFailed: "probe could not be made on the monitor's machine"
        }
    }

    /// The reason as one snake_case word, for programs.
    public var word: String {
        switch reason {
        case .unstated: "unstated"
        case .answered: "answered"
        case .httpStatus: "http_status"
        case .timedOut: "timed_out"
        case .resolveFailed: "resolve_failed"
        case .connectionRefused: "connection_refused"
        case .connectFailed: "connect_failed"
        case .tlsFailed: "tls_failed"
        case .certificateRefused: "certificate_refused"
        case .connectionClosed: "connection_closed"
        case .malformedAnswer: "malformed_answer"
        case .hostUnreachable: "host_unreachable"
        case .proberFailed: "prober_failed"
        }
    }
}

/// The steps of a probe, in order.
///
/// Raw values are stored in the log: never reuse one.
public enum ProbePhase: UInt16, Sendable, CaseIterable {
    /// Looking up the host name.
    case resolve = 1
    /// Opening the TCP connection.
    case connect = 2
    /// The TLS handshake.
    case tls = 3
    /// Sending the request and waiting for its answer.
    case answer = 4

    /// The word shown to people and programs.
    public var word: String {
        switch self {
        case .resolve: "resolve"
        case .connect: "connect"
        case .tls: "tls"
        case .answer: "answer"
        }
    }
}
