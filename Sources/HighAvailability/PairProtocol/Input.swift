/// What happens to a node.
public enum PairInput: Hashable, Sendable {
    /// Time passed; at least every ``PairSettings/interval``.
    case tick
    /// The lease of this number stands until then, by the node's clock, from when the renewal was sent.
    ///
    /// Takes are made on the lease that was told last. After one that may have run out comes another number.
    case leaseHeld(UInt64, until: Duration)
    /// A transaction was answered.
    case answered(UInt64, EtcdAnswer)
    /// A watch or another read showed the keys.
    case watched(EtcdSnapshot)
    /// A connection to the peer stands.
    case connected
    /// It broke.
    case disconnected
    /// The peer said something.
    case received(PairMessage)
    /// Leader: the conductor gathered and sealed a batch behind the last one.
    case gathered(ShippedBatch)
    /// The log stored a batch, in the order of the writes.
    case stored(Mark)
    /// The log stored neither this batch nor anything ordered behind it, nor will it until
    /// ``PairEffect/settle``: what was ordered before the node heard of this is refused in silence.
    case storeFailed
    /// Nothing ordered before the settling is in hand any more; the log ends here.
    case settled(Mark)
    /// The log was cut.
    case cut(Mark)
    /// Ends of batches in the log, newest first, as ``PairEffect/collectMarks(question:above:upTo:)`` asked.
    case collected(question: UInt64, [Mark])
    /// Stored batches were handed to the network up to here.
    case shipped(Session, through: UInt64)
    /// An operator wants the peer to lead.
    case switchover
}

/// What a node has to do about it, in this order.
public enum PairEffect: Hashable, Sendable {
    /// Tell the peer.
    case send(PairMessage)
    /// Run a transaction; answered with the same number, once, or never.
    case transact(UInt64, EtcdTransaction)
    /// Append a batch behind the last one, in the order of the effects; ``PairInput/stored(_:)`` answers, or
    /// ``PairInput/storeFailed`` once for all that were ordered.
    case store(ShippedBatch)
    /// Give up writes that are not begun, wait for the one that is; ``PairInput/settled(_:)`` answers.
    case settle
    /// Leader: seal a batch with `conductor.epoch_started` and store it; ``PairInput/stored(_:)`` answers.
    case begin(epoch: UInt64)
    /// Standby: move all behind this mark to the side file and cut the log there, in one durable step.
    case cut(to: Mark)
    /// Standby: some ends of batches behind the first position up to the second, the last one among them.
    case collectMarks(question: UInt64, above: UInt64, upTo: UInt64)
    /// Leader: tell the peer which of these marks is the newest that the durable log has, too.
    case compare(Session, question: UInt64, [Mark])
    /// Leader: send stored batches behind this position, as many as are fit to be on the way at once.
    case ship(Session, after: UInt64)
    /// Leader: everything up to here is acknowledged: publish it, answer its callers.
    case acknowledge(upTo: UInt64)
    /// Standby: everything up to here, which this log has, is acknowledged, so it will never be cut.
    case learn(acknowledged: UInt64)
    /// Leader: the epoch is acknowledged, the conductor may begin.
    case serve(epoch: UInt64)
    /// Leader: batches behind this position are not stored and never will be; their callers may try again.
    case drop(after: UInt64)
    /// The node no longer leads. The outcome of what was not acknowledged is unknown.
    case stepDown(String)
    /// Remember durably that etcd was seen at this revision.
    case remember(EtcdMemory)
    /// Close the connection to the peer; it begins anew.
    case disconnect
}
