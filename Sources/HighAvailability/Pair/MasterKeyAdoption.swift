import Identity
import Logging

/// Takes the leader's master key over for a log that has nothing yet: nobody copies a file.
struct MasterKeyAdoption {
    let file: MasterKeyFile
    let logger: Logger

    /// Durable when it returns; a key that was there is kept under another name.
    ///
    /// The key that may follow, in a rotation, is put beside it: the start finds out which one opens the log.
    func adopt(from leader: PeerEnclosure?) throws(PairFault) {
        guard let leader, let key = MasterKey(bytes: leader.masterKey) else {
            throw PairFault("the leader did not say its master key: update it, or copy the file of its key")
        }
        do throws(MasterKeyFault) {
            let own = try MasterKey(reading: file.path)
            if own?.fingerprintText != key.fingerprintText {
                if own != nil { RunningNode.keep(file, logger) }
                try file.storeNext(key)
                try file.promoteNext()
            }
            if let next = leader.nextMasterKey.flatMap({ MasterKey(bytes: $0) }) { try file.storeNext(next) }
        } catch { throw PairFault(error.sentence) }
    }
}
