import NIOCore
import NIOSSL

/// What TLS needs at both ends of the two connections.
struct TLSContexts: Sendable {
    let dialled: NIOSSLContext
    let accepted: NIOSSLContext

    /// Those of a configuration; nil where the nodes speak in clear text.
    static func made(for configuration: PairConfiguration) throws(PairConfigurationError) -> TLSContexts? {
        if case .tls(let files) = configuration.security { try TLSContexts(files) } else { nil }
    }

    /// Reads the files.
    private init(_ files: PairTLSFiles) throws(PairConfigurationError) {
        let chain = try TLSContexts.certificates(in: files.certificate)
        let authorities = try TLSContexts.certificates(in: files.authority)
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(file: files.key, format: .pem)
        } catch { throw PairConfigurationError("\(files.key) cannot be read, or holds no private key (PEM)") }
        var configuration = TLSConfiguration.makeServerConfigurationWithMTLS(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key),
            trustRoots: .certificates(authorities))
        // It is the authority that says who is the peer; addresses are often not in certificates.
        configuration.certificateVerification = .noHostnameVerification
        configuration.minimumTLSVersion = .tlsv13
        configuration.shutdownTimeout = .seconds(1)
        do {
            accepted = try NIOSSLContext(configuration: configuration)
            dialled = try NIOSSLContext(configuration: configuration)
        } catch {
            throw PairConfigurationError("\(files.key) is not the key of \(files.certificate)")
        }
    }

    private static func certificates(in path: String) throws(PairConfigurationError) -> [NIOSSLCertificate] {
        guard let certificates = try? NIOSSLCertificate.fromPEMFile(path), !certificates.isEmpty else {
            throw PairConfigurationError("\(path) cannot be read, or holds no certificate (PEM)")
        }
        return certificates
    }
}
