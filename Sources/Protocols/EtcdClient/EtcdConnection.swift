import AsyncHTTPClient
import Encodings
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One request to one endpoint, and what is known of its fate.
struct EtcdConnection: Sendable {
    /// An answer may be no longer; a pair's keys take a few kilobytes.
    static let answerByteMax = 4 << 20

    /// What became of a request.
    enum Fate {
        case answered(JSONValue)
        /// Certainly not carried out, and another endpoint may do it.
        case notTaken(String)
        /// It may have been carried out.
        case lost(String)
        /// Certainly not carried out, and no endpoint would do it.
        case refused(code: Int, message: String)
        case malformed(EtcdFault)
    }

    private let client: HTTPClient

    init(_ settings: EtcdSettings) throws(EtcdFault) {
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: try EtcdConnection.tls(settings), redirectConfiguration: .disallow,
            // Whoever does not even connect must leave time for the others.
            timeout: .init(
                connect: TimeAmount(settings.timeout / (settings.endpoints.count + 1)),
                read: TimeAmount(settings.timeout)))
        configuration.connectionPool.retryConnectionEstablishment = false
        // A request of HTTP/2 may be sent again by the client on its own; these may not.
        configuration.httpVersion = .http1Only
        client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }

    private static func tls(_ settings: EtcdSettings) throws(EtcdFault) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let path = settings.authorities { tls.trustRoots = .certificates(try certificates(path)) }
        guard let path = settings.certificate else { return tls }
        tls.certificateChain = try certificates(path).map { .certificate($0) }
        let keyPath = settings.privateKey ?? path
        guard let key = try? NIOSSLPrivateKey(file: keyPath, format: .pem) else {
            throw .unusable("\(keyPath) holds no private key in PEM form")
        }
        tls.privateKey = .privateKey(key)
        return tls
    }

    private static func certificates(_ path: String) throws(EtcdFault) -> [NIOSSLCertificate] {
        guard let certificates = try? NIOSSLCertificate.fromPEMFile(path), !certificates.isEmpty else {
            throw .unusable("\(path) is no file of PEM certificates")
        }
        return certificates
    }

    func shutdown() async {
        // A failure to close leaves nothing to do: whoever calls this ends.
        try? await client.shutdown()
    }

    /// Posts a body; the answer is read to its end within `patience`.
    func post(
        _ url: String, _ body: [UInt8], token: String?, patience: Duration
    ) async -> Fate {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "vedette")
        // A member that knows of no leader says so at once; else it waits seconds for one.
        request.headers.add(name: "Grpc-Metadata-hasleader", value: "true")
        if let token { request.headers.add(name: "Authorization", value: token) }
        request.body = .bytes(ByteBuffer(bytes: body))
        do {
            let answer = try await limited(patience) { [request] in
                let response = try await client.execute(request, timeout: TimeAmount(patience))
                let bytes = try await response.body.collect(upTo: EtcdConnection.answerByteMax)
                return Array(bytes.readableBytesView)
            }
            return EtcdConnection.fate(of: answer, from: url)
        } catch {
            let sentence = "\(url): \(EtcdConnection.reason(error, patience))"
            return EtcdConnection.wasNeverSent(error) ? .notTaken(sentence) : .lost(sentence)
        }
    }

    /// The library's own limit ends with the head of the answer.
    private func limited(
        _ patience: Duration, _ ask: @escaping @Sendable () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        try await withThrowingTaskGroup(of: [UInt8].self) { group in
            group.addTask(operation: ask)
            group.addTask {
                try await Task.sleep(for: patience)
                throw HTTPClientError.deadlineExceeded
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    static func fate(of answer: [UInt8], from url: String) -> Fate {
        guard let json = try? JSONValue(json: answer), case .object = json else {
            return .malformed(EtcdCoding.foreign(answer))
        }
        // Two forms of an error: that of a call, and that of a stream.
        guard json["error"] != nil else { return .answered(json["result"] ?? json) }
        guard let (code, message) = EtcdCoding.refusal(json) else {
            return .malformed(EtcdCoding.foreign(answer))
        }
        // Asked for before anything else, thanks to `hasleader`.
        if message.contains("etcdserver: no leader") { return .notTaken("\(url): \(message)") }
        return codesOfUnknownOutcome.contains(code)
            ? .lost("\(url): \(message)") : .refused(code: code, message: message)
    }

    /// Cancelled, unknown, deadline exceeded, internal, unavailable, data loss: etcd says so, too, after it
    /// has handed a request to Raft.
    private static let codesOfUnknownOutcome: Set<Int> = [1, 2, 4, 13, 14, 15]

    /// Whether there never was a connection for the request to go out on.
    private static func wasNeverSent(_ error: any Error) -> Bool {
        switch error {
        case is NIOConnectionError: true
        case let error as HTTPClientError: error == .connectTimeout
        case let error as IOError: error.errnoCode == ECONNREFUSED
        default: false
        }
    }

    /// Library errors may quote header values, and those hold tokens: only what is known is told.
    private static func reason(_ error: any Error, _ patience: Duration) -> String {
        switch error {
        case let error as HTTPClientError where error == .deadlineExceeded || error == .readTimeout:
            "no answer within \(Int((patience / .milliseconds(1)).rounded())) ms"
        case let error as HTTPClientError: error.shortDescription.lowercased()
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason($0.error, patience) }
                ?? "the host name could not be resolved"
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case is NIOSSLError, is BoringSSLError: "TLS handshake failed"
        case is NIOSSLExtraError: "its certificate does not name this host"
        case is NIOTooManyBytesError: "its answer is longer than \(answerByteMax) bytes"
        case is HTTPParserError: "what it says is not HTTP"
        case is CancellationError: "cancelled"
        default: "\(type(of: error))"
        }
    }
}
