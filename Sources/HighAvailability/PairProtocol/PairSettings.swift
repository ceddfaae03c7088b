/// The pair's times.
///
/// Safety depends on none of them, but for reads: those trust `promise`, and that two clocks run apart by
/// less than `clockErrorPartsPerThousand`.
public struct PairSettings: Hashable, Sendable {
    /// How long the leader's key outlives its holder's last sign of life.
    public var lease: Duration
    /// For how long a standby that answers a ping will not take the lead; a leader asks for so much.
    public var promise: Duration
    /// How often a leader pings, and a node looks at etcd.
    public var interval: Duration
    /// A peer is lost after so long without an answer, or without progress while something waits for it.
    public var peerPatience: Duration
    /// An etcd transaction's outcome counts as unknown after so long.
    public var etcdPatience: Duration
    /// At most so many positions are on their way to a peer, but for one batch.
    public var windowMax: UInt64 = 1 << 16
    /// A peer that catches up becomes a partner after a round that takes no longer.
    var roundMax: Duration { interval / 16 }
    /// Or after so many, however long they take.
    static let roundCountMax = 10
    /// How far clocks may run apart.
    public var clockErrorPartsPerThousand: Int

    /// Times that follow from the lease.
    ///
    /// - Parameter lease: at least a second: etcd counts leases in whole ones.
    public init(lease: Duration) {
        precondition(lease >= .seconds(1), "etcd counts leases in seconds")
        self.lease = lease
        promise = lease / 2
        interval = lease / 8
        peerPatience = lease / 2
        etcdPatience = lease / 2
        clockErrorPartsPerThousand = 20
        // A leader hears of its peer several times before it must stop answering reads.
        precondition(interval * 3 < peerPatience && peerPatience < lease)
    }

    /// So long at most a promise may bind that was given before a start, and is forgotten; a leader of an
    /// older build takes one for a whole lease.
    var promiseMax: Duration { extended(max(promise, lease)) }

    /// What is left of a time that another clock measures, on a clock that may run more slowly.
    func shortened(_ duration: Duration) -> Duration {
        duration * (1_000 - clockErrorPartsPerThousand) / 1_000
    }

    /// What a time is on a clock that may run faster than the one it was promised on.
    func extended(_ duration: Duration) -> Duration {
        duration * (1_000 + clockErrorPartsPerThousand) / 1_000
    }
}
