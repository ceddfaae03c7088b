import Glibc
import Identity
import Logging
import Registry

/// Takes the leader's master key over for a log that has nothing yet: nobody copies a file.
struct MasterKeyAdoption {
    let file: MasterKeyFile
    let logger: Logger

    /// Durable when it returns; a key that was there is kept under another name.
    func adopt(_ bytes: [UInt8], at now: Timestamp) throws(PairFault) {
        guard let key = MasterKey(bytes: bytes) else {
            throw PairFault("the leader did not say its master key: update it, or copy the file of its key")
        }
        do throws(MasterKeyFault) {
            let own = try MasterKey(reading: file.path)
            if own?.fingerprintText == key.fingerprintText { return }
            if own != nil { keep(at: now) }
            try file.storeNext(key)
            try file.promoteNext()
        } catch { throw PairFault(error.sentence) }
    }

    /// Backups of another log may be under the key that is about to be replaced: a second name keeps it.
    private func keep(at now: Timestamp) {
        let kept = file.path + ".replaced-\(now.microseconds)"
        if Glibc.link(file.path, kept) == 0 {
            logger.notice("takes over the leader's master key", metadata: ["kept": "\(kept)"])
        }
    }
}
