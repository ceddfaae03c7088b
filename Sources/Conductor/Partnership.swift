public import EventLog

/// What a conductor's log has beside it: the other log of a pair.
///
/// A conductor alone has none.
///
/// With one, a batch that is stored here is not yet acknowledged: ``Conductor/acknowledge(upTo:)`` says when.
/// Called on the conductor's writer thread.
public protocol Partnership: Sendable {
    /// A sealed batch is about to be stored here, and may be sent away at the same time.
    ///
    /// - Returns: false if it must not be stored, since this node does not lead, or not for much longer.
    func gather(_ batch: BatchBuilder, vault: [VaultChange]) -> Bool
    /// Everything up to this head is durable here.
    func stored(_ head: Head)
    /// The batch was not stored, and nothing of it is left behind.
    func storeFailed()
}
