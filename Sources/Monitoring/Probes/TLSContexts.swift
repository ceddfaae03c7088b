import NIOSSL
import Synchronization

/// TLS contexts by their profile: making one parses certificates, so VIMs with equal profiles share.
final class TLSContexts: Sendable {
    /// Contexts kept; beyond that the one used longest ago goes.
    static let contextsMax = 256

    private struct Entry {
        var context: NIOSSLContext
        var lastUse: UInt64
    }

    private struct State {
        var entries: [TLSProfile: Entry] = [:]
        var useCount: UInt64 = 0
    }

    private let state = Mutex(State())

    /// The context for a profile, made if there is none yet.
    ///
    /// - Throws: if `ssl_ca_cert` holds no certificate, or the system's authorities cannot be read.
    func context(for profile: TLSProfile) throws -> NIOSSLContext {
        let known = state.withLock { state -> NIOSSLContext? in
            state.useCount += 1
            state.entries[profile]?.lastUse = state.useCount
            return state.entries[profile]?.context
        }
        if let known { return known }
        let context = try TLSContexts.makeContext(profile)
        state.withLock { state in
            if state.entries.count >= TLSContexts.contextsMax,
                let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.entries[oldest.key] = nil
            }
            state.entries[profile] = Entry(context: context, lastUse: state.useCount)
        }
        return context
    }

    /// The same profile, sharing the text of an equal one, so that 100,000 VIMs with one CA hold it once.
    func shared(_ profile: TLSProfile) -> TLSProfile {
        state.withLock { state in
            state.entries.index(forKey: profile).map { state.entries[$0].key } ?? profile
        }
    }

    var count: Int { state.withLock { $0.entries.count } }

    private static func makeContext(_ profile: TLSProfile) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = profile.verifies ? .fullVerification : .none
        if let authorities = profile.authorities {
            let certificates = try NIOSSLCertificate.fromPEMBytes(Array(authorities.utf8))
            guard !certificates.isEmpty else { throw NIOSSLError.failedToLoadCertificate }
            configuration.trustRoots = .certificates(certificates)
        }
        return try NIOSSLContext(configuration: configuration)
    }
}
