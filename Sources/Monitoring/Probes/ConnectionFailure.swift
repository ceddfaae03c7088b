import Glibc
import NIOCore
import NIOHTTP1
import NIOSSL
import Registry

/// What a library's error means for a probe.
struct ConnectionFailure {
    /// Why the probe failed.
    var reason: ProbeFinding.Reason
    /// A number that belongs to the reason.
    var detail: UInt16 = 0
    /// The library's own words.
    var explanation: String
    /// Whether it is this machine that failed, so that nothing is said of the endpoint.
    var isOwnTrouble = false
    /// Whether the connection stood before it failed.
    var hasConnected = false

    init(_ reason: ProbeFinding.Reason, detail: UInt16 = 0, explanation: String) {
        self.reason = reason
        self.detail = detail
        self.explanation = explanation
    }

    /// Reads an error that came in a phase.
    init(_ error: any Error, in phase: ProbePhase) {
        let explanation = String(describing: error)
        switch error {
        case let error as IOError:
            // The library's own text wraps the system's words twice.
            let words = String(cString: strerror(error.errnoCode))
            self.init(errno: error.errnoCode, explanation: words, in: phase)
        case ChannelError.connectTimeout:
            self.init(.timedOut, detail: phase.rawValue, explanation: explanation)
        case let error as NIOSSLError:
            self.init(error, in: phase)
        case let error as BoringSSLError:
            self.init(tls: error, explanation: explanation)
        case is NIOSSLExtraError:
            // The only one that comes after the handler was made: the name in the certificate.
            self.init(.certificateRefused, explanation: explanation)
        case HTTPParserError.invalidEOFState:
            self.init(.connectionClosed, explanation: explanation)
        case is HTTPParserError, is ReadTooLong:
            self.init(.malformedAnswer, explanation: explanation)
        case is ChannelError:
            self.init(phase == .connect ? .connectFailed : .connectionClosed, explanation: explanation)
        default:
            self.init(ConnectionFailure.reason(ofUnknownErrorIn: phase), explanation: explanation)
        }
    }

    private static func reason(ofUnknownErrorIn phase: ProbePhase) -> ProbeFinding.Reason {
        switch phase {
        case .resolve: .resolveFailed
        case .connect: .connectFailed
        case .tls: .tlsFailed
        case .answer: .malformedAnswer
        }
    }

    /// Reads an error of the resolver; its threads being stopped is this machine's own trouble.
    init(resolving error: any Error) {
        self.init(.resolveFailed, explanation: String(describing: error))
        isOwnTrouble = (error as? Resolver.Failure)?.isOwnTrouble ?? true
        if isOwnTrouble { reason = .proberFailed }
    }

    private init(_ error: NIOSSLError, in phase: ProbePhase) {
        let explanation = String(describing: error)
        switch error {
        case .handshakeFailed(let inner): self.init(tls: inner, explanation: explanation)
        case .unableToValidateCertificate, .noCertificateToValidate, .cannotFindPeerIP:
            self.init(.certificateRefused, explanation: explanation)
        case .uncleanShutdown: self.init(.connectionClosed, explanation: explanation)
        default: self.init(phase == .answer ? .connectionClosed : .tlsFailed, explanation: explanation)
        }
    }

    private init(tls error: BoringSSLError, explanation: String) {
        self.init(.tlsFailed, explanation: explanation)
        guard case .sslError(let stack) = error else { return }
        if stack.contains(.eofDuringHandshake) {
            reason = .connectionClosed
        } else if stack.contains(where: { "\($0)".contains("CERTIFICATE_VERIFY_FAILED") }) {
            reason = .certificateRefused
        }
    }

    /// Reads an `errno`; those that tell of missing resources are this machine's own trouble.
    init(errno code: CInt, explanation: String, in phase: ProbePhase) {
        let number = UInt16(clamping: code)
        self.init(.connectFailed, detail: number, explanation: explanation)
        switch code {
        case ECONNREFUSED: reason = .connectionRefused
        case ETIMEDOUT:
            reason = .timedOut
            detail = phase.rawValue
        case EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL, EAGAIN:
            reason = .proberFailed
            isOwnTrouble = true
        case ECONNRESET, EPIPE:
            // Also while connecting: a reset that comes before the handshake is over reads as refused.
            reason = .connectionClosed
            hasConnected = true
        case ECONNABORTED:
            if phase != .connect { reason = .connectionClosed }
        default: break
        }
    }
}

/// The endpoint sent more than an answer's head may take.
struct ReadTooLong: Error {}
