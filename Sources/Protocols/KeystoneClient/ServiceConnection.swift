import AsyncHTTPClient
import NIOCore
public import NIOHTTP1
import NIOPosix
import NIOSSL

/// Calls to OpenStack services: bounded in time and size, without redirects, failures in words.
///
/// Tokens and passwords stand in headers and bodies, so no error quotes those.
public final class ServiceConnection: Sendable {
    /// An answer may be no longer; a thousand executions take half a megabyte.
    public static let answerByteMax = 16 << 20

    /// One answer, read whole.
    public struct Answer: Sendable {
        /// The HTTP status code.
        public var status: Int
        /// The headers.
        public var headers: HTTPHeaders
        /// The body, at most ``ServiceConnection/answerByteMax`` bytes.
        public var body: [UInt8]
    }

    private let client: HTTPClient
    private let timeout: Duration

    /// Starts a client; ``shutdown()`` must be called before it is let go.
    ///
    /// - Parameters:
    ///   - authorities: a PEM file of the authorities to trust; nil means the system's.
    ///   - timeout: for one call, from its start to the end of its answer.
    /// - Throws: ``ServiceFault`` if the file holds no certificate.
    public init(authorities: String? = nil, timeout: Duration = .seconds(30)) throws(ServiceFault) {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authorities {
            guard let certificates = try? NIOSSLCertificate.fromPEMFile(authorities), !certificates.isEmpty
            else { throw ServiceFault("\(authorities) is no file of PEM certificates") }
            tls.trustRoots = .certificates(certificates)
        }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(5), read: .seconds(30)))
        configuration.connectionPool.retryConnectionEstablishment = false
        self.timeout = timeout
        client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }

    /// Closes all connections; calls under way fail.
    public func shutdown() async {
        // A failure to close leaves nothing to do: whoever calls this ends.
        try? await client.shutdown()
    }

    /// Makes one call.
    ///
    /// - Throws: ``ServiceFault`` if no answer came; every status is an answer.
    public func send(
        _ method: HTTPMethod, _ url: String, headers: HTTPHeaders = [:], body: [UInt8]? = nil,
        contentType: String = "application/json"
    ) async throws(ServiceFault) -> Answer {
        var request = HTTPClientRequest(url: url)
        request.method = method
        request.headers = headers
        // Mistral refuses to take YAML (406) from those who accept JSON alone.
        request.headers.replaceOrAdd(name: "Accept", value: "*/*")
        request.headers.replaceOrAdd(name: "User-Agent", value: "vedette")
        if let body {
            request.headers.replaceOrAdd(name: "Content-Type", value: contentType)
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        do {
            let response = try await client.execute(request, timeout: TimeAmount(timeout))
            let bytes = try await response.body.collect(upTo: ServiceConnection.answerByteMax)
            return Answer(
                status: Int(response.status.code), headers: response.headers,
                body: Array(bytes.readableBytesView))
        } catch { throw ServiceFault("\(url) does not answer: \(ServiceConnection.reason(error))") }
    }

    /// Library errors may quote header values, and those hold tokens: only what is known is told.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError: error.shortDescription.lowercased()
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason($0.error) } ?? "the host name could not be resolved"
        case let error as IOError: error.description
        case is NIOSSLError, is BoringSSLError: "TLS handshake failed"
        case is NIOSSLExtraError: "the server's certificate does not name this host"
        case is NIOTooManyBytesError: "its answer is longer than \(answerByteMax) bytes"
        case is HTTPParserError: "what it says is not HTTP"
        case is CancellationError: "cancelled"
        default: "\(type(of: error))"
        }
    }
}

/// Why a service gave no usable answer: one sentence without secrets.
public struct ServiceFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence.
    public let description: String

    /// A fault.
    public init(_ description: String) { self.description = description }
}
