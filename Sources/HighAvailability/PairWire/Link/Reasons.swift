import NIOCore
import NIOPosix
import NIOSSL

/// Why a connection came to nothing, in words for operators.
func reason(_ error: any Error) -> String {
    switch error {
    case let fault as WireFault: return "it sent \(fault)"
    case let error as NIOConnectionError:
        if let last = error.connectionErrors.last { return reason(last.error) }
        return "the host name could not be resolved"
    case ChannelError.connectTimeout: return "it did not answer within a second"
    case let error as IOError: return error.description
    case NIOSSLError.handshakeFailed(let error): return tlsReason("\(error)")
    case NIOSSLError.uncleanShutdown: return "it closed the connection"
    case let error as BoringSSLError: return tlsReason("\(error)")
    default: return "\(error)"
    }
}

private func tlsReason(_ text: String) -> String {
    if text.contains("CERTIFICATE_VERIFY_FAILED") {
        return "its certificate is not signed by the pair's authority, or not valid now"
    }
    if text.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE") { return "it shows no certificate" }
    let alerts = ["UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_REQUIRED", "CERTIFICATE_EXPIRED"]
    if alerts.contains(where: text.contains) { return "it does not accept this node's certificate" }
    if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
        return "it does not speak TLS"
    }
    return "TLS failed: \(text)"
}
