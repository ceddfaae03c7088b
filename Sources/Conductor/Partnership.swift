public import EventLog
public import Identity

/// What a conductor's log has beside it: the other log of a pair.
///
/// A conductor alone has none.
///
/// With one, a batch that is stored here is not yet acknowledged: ``Conductor/acknowledge(upTo:)`` says when.
/// Called by one thread at a time, whichever takes a turn at storing; but what is said of a rotation on any.
public protocol Partnership: Sendable {
    /// A sealed batch is about to be stored here, and may be sent away at the same time.
    ///
    /// - Returns: false if it must not be stored, since this node does not lead, or not for much longer.
    func gather(_ batch: BatchBuilder, vault: [VaultChange]) -> Bool
    /// Everything up to this head is durable here.
    func stored(_ head: Head)
    /// The batch was not stored, and nothing of it is left behind.
    func storeFailed()
    /// Whether the other node, if it is there, can take over another master key.
    ///
    /// - Throws: ``RotationFault`` if not.
    func checkRotation() throws(RotationFault)
    /// Data keys in the batches that are gathered from now on may be wrapped under this master key: the other
    /// node must have it before it stores one of those.
    ///
    /// - Parameter isInUse: it is already the key in use.
    func rotationBegins(to next: MasterKey, isInUse: Bool)
    /// The rotation is over, and the next key is the one in use, or never was.
    func rotationEnds(isInUse: Bool)
}
