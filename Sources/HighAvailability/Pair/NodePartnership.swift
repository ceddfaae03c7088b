public import Conductor
public import EventLog
public import Identity
import PairProtocol
import PairWire
import Synchronization

// What the conductor tells the node that it leads for; on whichever thread takes a turn at storing.
extension RunningNode: Partnership {
    /// Ships a batch, and lets it be stored.
    ///
    /// The first one of an epoch leaves only when it is durable (rule 3).
    public func gather(_ batch: BatchBuilder, vault: [VaultChange]) -> Bool {
        let shipped = ShippedBatch(TravellingBatch(batch, vault: vault))
        return state.withLock { state in
            if state.isBeginHeld {
                guard state.beginning != nil else { return false }
                (state.isBeginHeld, state.beginning) = (false, nil)
                return true
            }
            guard state.core.mayGather, !state.isWriteInHand else { return false }
            (state.isGathering, state.isGathered) = (true, false)
            give(.gathered(shipped), &state)
            state.isGathering = false
            if state.isGathered { state.isWriteInHand = true }
            return state.isGathered
        }
    }

    /// The node hears of it, and may acknowledge.
    public func stored(_ head: Head) { finishWrite(.stored(Mark(head))) }

    /// The node decides whether it goes on leading (rule 11).
    public func storeFailed() { finishWrite(.storeFailed) }

    /// A node that is away is asked when it comes back (``turnsAway(standbyAt:)``).
    public func checkRotation() throws(RotationFault) {
        guard let peer = link.peerGreeting, PeerEnclosure(bytes: peer.enclosure)?.takesMasterKeys != true
        else { return }
        throw RotationFault(
            "\(peer.hostName) (version \(peer.programVersion)) cannot take over another master key: upgrade "
                + "\(peer.hostName) first")
    }

    /// Greets anew: the other node hears of the key before anything that needs it.
    public func rotationBegins(to next: MasterKey, isInUse: Bool) {
        if isInUse { enclosure.take(masterKey: next.bytes) } else { enclosure.announce(next.bytes) }
        link.greetAnew()
    }

    /// What this node greets with is what its conductor has.
    public func rotationEnds(isInUse: Bool) {
        if isInUse, let next = enclosure.present.nextMasterKey {
            enclosure.take(masterKey: next)
        } else {
            enclosure.announce(nil)
        }
    }
}
