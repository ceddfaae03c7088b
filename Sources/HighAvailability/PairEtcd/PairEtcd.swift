import EtcdClient
public import Logging
public import PairProtocol
import Synchronization

/// A node's dealings with etcd: its lease, its transactions, and what it tells of itself.
///
/// A transaction is answered once, or never where it was not carried out or its outcome is unknown; the
/// state machine waits no longer than ``PairProtocol/PairSettings/etcdPatience``, nor shall the client.
public final class PairEtcd: Sendable {
    private let keys: PairKeys
    private let identity: LogIdentity
    private let settings: PairSettings
    private let now: @Sendable () -> Duration
    private let deliver: @Sendable (PairInput) -> Void
    private let logger: Logger
    private let state = Mutex(State())
    private let (orders, order) = AsyncStream.makeStream(of: Order.self)
    private let (news, hasNews) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    private struct Order: Sendable {
        var number: UInt64
        var transaction: EtcdTransaction
    }

    private struct State {
        /// The lease that takes are made on; nil before the first, and after one that is gone.
        var lease: Int64?
        /// Rises with each lease.
        var leaseNumber: UInt64 = 0
        var member: PairMember?
        /// The lease that `member` is on; 0 if it is on none yet.
        var memberLease: Int64 = 0
        /// What failed and has not succeeded since: that is logged once.
        var failing: Set<Matter> = []
    }

    private enum Matter: String {
        case transaction = "a transaction"
        case lease = "the renewal of this node's lease"
        case member = "the storing of what this node tells of itself"
    }

    /// - Parameters:
    ///   - keys: of the pair, with a client whose time for a call is the settings' `etcdPatience`.
    ///   - identity: of the node's log.
    ///   - now: the node's monotonic clock, the one that the state machine is told.
    ///   - deliver: takes what the state machine is to be told; called from any thread, and must not block.
    public init(
        keys: PairKeys, identity: LogIdentity, settings: PairSettings,
        now: @escaping @Sendable () -> Duration, deliver: @escaping @Sendable (PairInput) -> Void,
        logger: Logger
    ) {
        self.keys = keys
        self.identity = identity
        self.settings = settings
        self.now = now
        self.deliver = deliver
        self.logger = logger
    }

    /// Orders a transaction and returns; ``run()`` carries it out and delivers the answer with its number.
    public func perform(_ number: UInt64, _ transaction: EtcdTransaction) {
        order.yield(Order(number: number, transaction: transaction))
    }

    /// Tells what the node is from now on; it stands in etcd as long as the node's lease does.
    public func publish(_ member: PairMember) {
        state.withLock {
            $0.member = member
            $0.memberLease = 0
        }
        hasNews.yield()
    }

    /// Holds a lease and does what is ordered, until it is cancelled.
    ///
    /// Then it gives the lease back, and with it the lead. To be run once.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.holdLease() }
            group.addTask { for await _ in self.news { await self.publishNews() } }
            for await order in orders { group.addTask { await self.carryOut(order) } }
        }
        // A task of its own, for this one is cancelled, and the other node waits for the lease to end.
        if let lease = state.withLock({ $0.lease }) {
            await Task { try? await keys.client.revoke(lease) }.value
        }
    }

    private func carryOut(_ order: Order) async {
        // Rule 1 wants the key on the lease that the state machine knows of, or on a later one.
        let lease = state.withLock { $0.lease }
        guard lease != nil || !order.transaction.needsLease else { return }
        do throws(PairEtcdFault) {
            let answer = try await keys.run(order.transaction, as: identity, lease: lease ?? 0)
            succeed(.transaction)
            deliver(.answered(order.number, answer))
        } catch {
            if case .etcd(let fault) = error, fault.isLeaseGone, let lease {
                drop(lease)
            } else {
                fail(.transaction, error)
            }
        }
    }

    // MARK: The lease

    private func holdLease() async {
        while !Task.isCancelled {
            do throws(EtcdFault) { try await renewLease() } catch {
                fail(.lease, .etcd(error))
            }
            // What was not published is tried again as often.
            hasNews.yield()
            try? await Task.sleep(for: settings.interval)
        }
    }

    /// Renews the lease, or gets a new one where there is none.
    ///
    /// By the node's clock the lease stands from when the request was sent, which was before etcd carried it
    /// out. One that stood still longer than its time is renewed all the same: while etcd has it, it has the
    /// keys on it, too.
    private func renewLease() async throws(EtcdFault) {
        if let lease = state.withLock({ $0.lease }) {
            let sent = now()
            guard let timeToLive = try await keys.client.keepAlive(lease) else {
                logger.warning("this node's lease ran out; it gets a new one")
                drop(lease)
                return try await renewLease()
            }
            let number = state.withLock { $0.lease == lease ? $0.leaseNumber : nil }
            guard let number else { return }
            tell(number, sent, timeToLive)
        } else {
            let sent = now()
            let lease = try await keys.client.grantLease(settings.lease)
            let number = state.withLock {
                $0.lease = lease.id
                $0.leaseNumber += 1
                return $0.leaseNumber
            }
            tell(number, sent, lease.timeToLive)
        }
    }

    private func tell(_ number: UInt64, _ sent: Duration, _ timeToLive: Duration) {
        succeed(.lease)
        deliver(.leaseHeld(number, until: sent + min(timeToLive, settings.lease)))
    }

    /// The next turn gets a new one.
    private func drop(_ lease: Int64) {
        state.withLock { if $0.lease == lease { $0.lease = nil } }
    }

    // MARK: What it tells of itself

    private func publishNews() async {
        let (member, lease, isPublished) = state.withLock {
            ($0.member, $0.lease, $0.memberLease == $0.lease)
        }
        guard let member, let lease, !isPublished else { return }
        do throws(PairEtcdFault) {
            try await keys.put(member, of: identity, lease: lease)
            state.withLock { if $0.member == member { $0.memberLease = lease } }
            succeed(.member)
        } catch { fail(.member, error) }
    }

    // MARK: The journal

    private func fail(_ matter: Matter, _ fault: PairEtcdFault) {
        // A node that stops cancels what is under way.
        guard !Task.isCancelled else { return }
        let isNew = state.withLock { $0.failing.insert(matter).inserted }
        let sentence: Logger.Message = "\(matter.rawValue) failed: \(fault)"
        if isNew { logger.warning(sentence) } else { logger.debug(sentence) }
    }

    private func succeed(_ matter: Matter) {
        if state.withLock({ $0.failing.remove(matter) }) != nil {
            logger.notice("\(matter.rawValue) succeeded again")
        }
    }
}

extension EtcdTransaction {
    fileprivate var needsLease: Bool {
        switch self {
        case .take, .found: true
        case .read, .setInsync, .release: false
        }
    }
}
