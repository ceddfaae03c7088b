/// A fault that somebody could write, for the simulator to find: each is one deviation from the rules.
///
/// Those of the report that the model checker found, its literal misreadings (T1 to T7), and what the model
/// does not have: clocks, reads, disks that are lost, an etcd that is restored. Some lie in what a shell does
/// and are planted in the simulator's.
public enum PlantedBug: String, CaseIterable, Sendable {
    /// Acknowledged when durable here, whatever the partner holds.
    case partnerNotAwaited
    /// Acknowledged before it is durable here.
    case answeredBeforeSync
    /// A standby says "stored" when it received.
    case acknowledgedOnReceipt
    /// A hello of any epoch is accepted.
    case noEpochCheck
    /// The lead is taken by who is not in `insync`.
    case takeOutsideInsync
    /// Alone as soon as the shrink was sent.
    case aloneBeforeShrunk
    /// Alone without telling etcd.
    case shrinkForgotten
    /// `insync` grows before the peer holds what may have been acknowledged.
    case grownBeforeCaughtUp
    /// A shrink without an answer counts as done.
    case unknownIsSuccess
    /// After a failed commit another batch takes the position of one that was sent.
    case positionReused
    /// The common point is taken from the logs' lengths.
    case cutByLength
    /// The common point is where the standby's last epoch ends in the leader's log.
    case cutByLastEpoch
    /// The cut is one batch too deep.
    case cutTooDeep
    /// An acknowledgement of any session counts.
    case positionAloneCounts
    /// Reading `insync` settles an unknown outcome.
    case settledByRead
    /// An answer to a request that was given up is believed.
    case lateAnswerBelieved
    /// A hello of an older session is accepted.
    case oldHelloAccepted
    /// T1: a change of `insync` is not guarded by its revision.
    case noRevisionGuard
    /// T2: an epoch is entered again after a restart or step-down.
    case epochResumed
    /// T3: a change of `insync` is guarded by the leader's name.
    case guardByName
    /// T4: only what this leader acknowledged itself counts as acknowledged.
    case onlyOwnCounts
    /// T5: after a failed commit a leader steps down only if a member was concerned.
    case stepDownOnlyForMembers
    /// T6: a shrink without an answer counts as not done, and nothing more.
    case unknownSettles
    /// T7: a batch of an older epoch than the leader's is refused.
    case batchEpochCompared
    /// Reads are answered whoever else may lead.
    case readWithoutPromise
    /// Reads are answered on the lease, though the standby may take the key away.
    case leaseTrusted
    /// Inherited batches are shown before the new epoch is acknowledged.
    case servedTooEarly
    /// A restarted standby does not wait out what it promised.
    case promiseForgotten
    /// A standby takes the lead whatever it promised.
    case promiseBroken
    /// Who hands over frees its standby while it still reads on the promise.
    case releasedEarly
    /// A standby is freed by whoever left any epoch, not only that of its session.
    case anyReleaseCounts
    /// Promises are measured on a clock that people set.
    case wallClockTrusted
    /// A restored etcd is believed.
    case restoredEtcdBelieved
    /// Who is alone in `insync` follows whoever says hello.
    case aloneFollows
    /// Members are names of nodes: one that lost its disk is still one.
    case namesNotIdentities
    /// Another log's acknowledgements count for the partner's.
    case strangerCounts
    /// A leader tells its standby what it gathered, as if it were acknowledged.
    case gatheredIsTold
    /// A leader tells what it inherited before its epoch is acknowledged.
    case inheritedIsTold
    /// A standby takes for acknowledged what it does not have.
    case toldIsStored
    /// A standby believes what is acknowledged of a log that is not yet its own's beginning.
    case toldBeforeFollowed
}
