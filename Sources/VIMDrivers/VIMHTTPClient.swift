import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

#if canImport(Glibc)
    import Glibc
#endif

/// The HTTP client that all drivers share; one per process.
///
/// Redirects are not followed: credentials go to the host the user named and nowhere else.
public struct VIMHTTPClient: Sendable {
    /// What a contact may cost.
    public let limits: VIMContactLimits
    private let client: HTTPClient

    /// Starts a client on the process's event loops; ``shutdown()`` must be called before it is let go.
    public init(limits: VIMContactLimits = VIMContactLimits()) {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: TimeAmount(limits.connectTimeout), read: TimeAmount(limits.contactTimeout)))
        // The default tries a refused connection again until the timeout; the user wants to know at once.
        configuration.connectionPool.retryConnectionEstablishment = false
        // Calls of one contact share a connection; the next contact with that VIM is hours away.
        configuration.connectionPool.idleTimeout = .seconds(2)
        self.limits = limits
        self.client = HTTPClient(
            eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }

    /// Closes all connections; calls under way fail.
    public func shutdown() async {
        // A failure to close leaves nothing to do: the process ends.
        try? await client.shutdown()
    }

    /// One answer, read whole.
    struct Answer: Sendable {
        var status: HTTPResponseStatus
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    /// Makes one call.
    ///
    /// A time-out of the whole contact reaches it as cancellation.
    func send(_ request: HTTPClientRequest) async throws(VIMDriverError) -> Answer {
        do {
            let response = try await client.execute(
                request, timeout: TimeAmount(limits.contactTimeout))
            let body = try await response.body.collect(upTo: limits.answerByteMax)
            return Answer(
                status: response.status, headers: response.headers, body: Array(body.readableBytesView))
        } catch {
            throw VIMHTTPClient.failure(of: request.url, error, limits)
        }
    }

    /// Runs all calls of one contact within ``VIMContactLimits/contactTimeout``.
    func contact<Result: Sendable>(
        _ authURL: String, _ calls: @escaping @Sendable () async throws(VIMDriverError) -> Result
    ) async throws(VIMDriverError) -> Result {
        let limit = limits.contactTimeout
        do {
            return try await withThrowingTaskGroup(of: Result?.self) { group in
                group.addTask { try await calls() }
                group.addTask {
                    try await Task.sleep(for: limit)
                    return nil
                }
                defer { group.cancelAll() }
                if let first = try await group.next(), let result = first { return result }
                throw VIMHTTPClient.timedOut(authURL, limit)
            }
        } catch let error as VIMDriverError {
            throw error
        } catch {
            throw .connection("Request to \(authURL) was cancelled")
        }
    }

    private static func timedOut(_ url: String, _ limit: Duration) -> VIMDriverError {
        .connection("Request to \(url) timed out after \(limit.components.seconds) s")
    }

    /// Library errors may quote header values, and those hold tokens: only what is known is told.
    private static func failure(
        of url: String, _ error: any Error, _ limits: VIMContactLimits
    ) -> VIMDriverError {
        func noConnection(_ reason: String) -> VIMDriverError {
            .connection("Unable to establish connection to \(url): \(reason)")
        }
        switch error {
        case let error as VIMDriverError:
            return error
        case is NIOTooManyBytesError:
            return .connection("The answer of \(url) is longer than \(limits.answerByteMax) bytes")
        case let error as HTTPClientError where error == .connectTimeout:
            return noConnection("connection timed out after \(limits.connectTimeout.components.seconds) s")
        case let error as HTTPClientError where error == .deadlineExceeded || error == .readTimeout:
            return timedOut(url, limits.contactTimeout)
        case let error as HTTPClientError:
            let text = error.shortDescription.lowercased()
            if text.contains("header") {
                return .badCredentials("auth_cred holds a character that cannot be sent in an HTTP header")
            }
            return noConnection(text)
        case let error as NIOConnectionError:
            guard let first = error.connectionErrors.first else {
                return noConnection("the host name could not be resolved")
            }
            return noConnection(reason(first.error))
        default:
            return noConnection(reason(error))
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError:
            return systemText(error.errnoCode)
        case is NIOSSLError, is BoringSSLError:
            return "TLS handshake failed (\(error))"
        case is NIOSSLExtraError:
            return "the server's certificate does not name this host"
        case is HTTPParserError:
            return "the answer is not HTTP"
        case is CancellationError:
            return "cancelled"
        default:
            return "\(type(of: error))"
        }
    }

    private static func systemText(_ code: CInt) -> String {
        strerror(code).map { String(cString: $0) } ?? "errno \(code)"
    }
}
