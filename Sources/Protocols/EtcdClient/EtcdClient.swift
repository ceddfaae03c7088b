import Encodings
import Synchronization

/// A client of etcd's version 3 through its JSON gateway.
///
/// A call goes to the endpoint that worked last, and on to the next one where it was certainly not carried
/// out, or where a repetition does no harm. A transaction that writes is never sent twice if the first may
/// have arrived: its caller hears ``EtcdFault/unanswered(_:)``.
public final class EtcdClient: Sendable {
    private let settings: EtcdSettings
    private let endpoints: [String]
    private let connection: EtcdConnection
    private let state = Mutex(State())

    private struct State {
        /// The endpoint that is asked first.
        var preferred = 0
        var token: String?
    }

    /// Starts a client; ``shutdown()`` must be called before it is let go.
    ///
    /// - Throws: ``EtcdFault/unusable(_:)`` if an endpoint is no URL, or a file holds no certificate or key.
    public init(_ settings: EtcdSettings) throws(EtcdFault) {
        endpoints = try settings.checkedEndpoints()
        connection = try EtcdConnection(settings)
        self.settings = settings
    }

    /// Closes all connections; calls under way fail.
    public func shutdown() async { await connection.shutdown() }

    /// The endpoint that the next call goes to first.
    public var preferredEndpoint: String { endpoints[state.withLock { $0.preferred }] }

    // MARK: Keys

    /// Runs a transaction: if all conditions hold `done`, else `refused`; either is one step for others.
    ///
    /// One that only reads may be asked of several endpoints; it is linearizable all the same.
    public func commit(
        if conditions: [EtcdComparison] = [], then done: [EtcdOperation], else refused: [EtcdOperation] = []
    ) async throws(EtcdFault) -> EtcdOutcome {
        let isRead = (done + refused).allSatisfy(\.isRead)
        let body = EtcdCoding.transaction(conditions, done, refused)
        return try EtcdCoding.outcome(try await call("/v3/kv/txn", body, mayRepeat: isRead))
    }

    // MARK: Leases

    /// A new lease of at least this time to live.
    public func grantLease(_ timeToLive: Duration) async throws(EtcdFault) -> EtcdLease {
        let parts = timeToLive.components
        let seconds = parts.seconds + (parts.attoseconds > 0 ? 1 : 0)
        // One that is granted twice runs out by itself.
        let answer = try await call(
            "/v3/lease/grant", ["TTL": .string(String(seconds))], mayRepeat: true)
        _ = try EtcdCoding.header(answer)
        let id: Int64 = try EtcdCoding.integer(answer, "ID")
        let granted: Int64 = try EtcdCoding.integer(answer, "TTL")
        guard id != 0, granted > 0 else { throw EtcdCoding.foreign(answer) }
        return EtcdLease(id: id, timeToLive: .seconds(granted))
    }

    /// Renews a lease: its time to live began anew after this was called.
    ///
    /// Nil if it is gone.
    ///
    /// etcd 3.4 answers a renewal without asking a majority, so a leader that has lost the others says yes
    /// until it notices, while they elect another and count the lease from then. Hence a linearizable read
    /// behind it, of the same endpoint: if that shows the same term of Raft, whoever renewed the lease led
    /// afterwards still.
    public func keepAlive(_ lease: Int64) async throws(EtcdFault) -> Duration? {
        let end = ContinuousClock.now + settings.timeout
        let (renewal, endpoint) = try await callFindingEndpoint(
            "/v3/lease/keepalive", ["ID": .string(String(lease))], mayRepeat: true, until: end)
        let term = try EtcdCoding.header(renewal).term
        let left: Int64 = try EtcdCoding.integer(renewal, "TTL")
        guard left > 0 else { return nil }
        let proof = EtcdCoding.transaction([], [.get("/")], [])
        let (read, _) = try await callFindingEndpoint(
            "/v3/kv/txn", proof, mayRepeat: true, until: end, only: endpoint)
        guard try EtcdCoding.header(read).term == term else {
            throw .unanswered("\(endpoints[endpoint]): etcd's leader changed during the renewal")
        }
        return .seconds(left)
    }

    /// Ends a lease and removes the keys on it; does nothing if it is gone.
    public func revoke(_ lease: Int64) async throws(EtcdFault) {
        do throws(EtcdFault) {
            let answer = try await call(
                "/v3/lease/revoke", ["ID": .string(String(lease))], mayRepeat: true)
            _ = try EtcdCoding.header(answer)
        } catch { guard error.isLeaseGone else { throw error } }
    }

    // MARK: Calls

    private func call(
        _ path: String, _ body: JSONValue, mayRepeat: Bool
    ) async throws(EtcdFault) -> JSONValue {
        let end = ContinuousClock.now + settings.timeout
        return try await callFindingEndpoint(path, body, mayRepeat: mayRepeat, until: end).answer
    }

    /// - Parameters:
    ///   - mayRepeat: whether it does no harm when the request is carried out more than once.
    ///   - only: an endpoint that alone is asked.
    private func callFindingEndpoint(
        _ path: String, _ body: JSONValue, mayRepeat: Bool, until end: ContinuousClock.Instant,
        only: Int? = nil
    ) async throws(EtcdFault) -> (answer: JSONValue, endpoint: Int) {
        let first = only ?? state.withLock { $0.preferred }
        let count = only == nil ? endpoints.count : 1
        var failures: [String] = []
        var mayHaveBeenDone = false
        for step in 0..<count {
            let index = (first + step) % endpoints.count
            let fate = await ask(index, path, body, until: end, shares: mayRepeat ? count - step : 1)
            switch fate {
            case .answered(let answer):
                state.withLock { $0.preferred = index }
                return (answer, index)
            case .refused(let code, let message): throw .refused(code: code, message: message)
            case .malformed(let fault):
                passOver(index)
                throw fault
            case .notTaken(let sentence):
                failures.append(sentence)
            case .lost(let sentence):
                failures.append(sentence)
                mayHaveBeenDone = true
            }
            passOver(index)
            if mayHaveBeenDone, !mayRepeat { break }
        }
        let reasons = failures.joined(separator: "; ")
        throw mayHaveBeenDone ? .unanswered(reasons) : .unreachable(reasons)
    }

    /// The next call begins with another endpoint, unless that was settled meanwhile.
    private func passOver(_ index: Int) {
        state.withLock { if $0.preferred == index { $0.preferred = (index + 1) % endpoints.count } }
    }

    /// Asks one endpoint, if need be with a new token.
    ///
    /// - Parameter shares: into how many parts the time that is left is to be divided.
    private func ask(
        _ index: Int, _ path: String, _ body: JSONValue, until end: ContinuousClock.Instant, shares: Int
    ) async -> EtcdConnection.Fate {
        var patience: Duration { max(.milliseconds(1), (end - ContinuousClock.now) / shares) }
        let url = endpoints[index] + path
        guard let account = settings.account else {
            return await connection.post(url, body.encoded, token: nil, patience: patience)
        }
        var isSecond = false
        while true {
            if state.withLock({ $0.token }) == nil {
                let fate = await logIn(account, index, patience)
                guard case .answered(let answer) = fate else { return fate }
                guard let token = answer["token"]?.string else {
                    return .malformed(EtcdCoding.foreign(answer))
                }
                state.withLock { $0.token = token }
            }
            let token = state.withLock { $0.token }
            let fate = await connection.post(url, body.encoded, token: token, patience: patience)
            guard case .refused(_, let message) = fate, !isSecond, EtcdClient.isStaleToken(message) else {
                return fate
            }
            // It ran out, or etcd was started anew; nothing was carried out.
            state.withLock { if $0.token == token { $0.token = nil } }
            isSecond = true
        }
    }

    /// A lost login did nothing that matters.
    private func logIn(
        _ account: EtcdSettings.Account, _ index: Int, _ patience: Duration
    ) async -> EtcdConnection.Fate {
        let body: JSONValue = ["name": .string(account.user), "password": .string(account.password)]
        let fate = await connection.post(
            endpoints[index] + "/v3/auth/authenticate", body.encoded, token: nil, patience: patience)
        if case .lost(let sentence) = fate { return .notTaken(sentence) }
        return fate
    }

    private static func isStaleToken(_ message: String) -> Bool {
        message.contains("invalid auth token") || message.contains("revision of auth store is old")
    }
}
