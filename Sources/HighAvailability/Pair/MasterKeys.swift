import Conductor
import EventLog
import Glibc
import Identity
import Logging
import PairWire
import Registry
import Synchronization

// The master key of a node: the leader's, whoever leads. All of it on the log thread, but for the start.
extension RunningNode {
    /// Sees to it that the data keys that come with batches will open here, before they are stored.
    ///
    /// - Returns: whether ``settleTakenOver()`` must follow when they are stored.
    func takeOverMasterKey(for batches: [TravellingBatch]) throws(PairFault) -> Bool {
        let told = ToldKeys(batches)
        let leaders = peer.withLock { $0?.keys }
        let isEmpty = log.head.position == 0
        let isOwn = told.all.allSatisfy { $0 == enclosure.fingerprint }
        if isOwn, leaders.map({ $0.contains(enclosure.fingerprint) }) ?? !isEmpty { return false }
        guard let leaders else {
            throw PairFault("the leader did not say its master key, or is gone meanwhile: it is asked again")
        }
        // What was interrupted before may have left a key that opens the vault in the next one's place.
        try settleMasterKey()
        if !leaders.contains(enclosure.fingerprint), try opensNothing() {
            if isEmpty { RunningNode.keep(keyFile, logger) }
            try asking { () throws(MasterKeyFault) in
                try keyFile.storeNext(leaders.present)
                try keyFile.promoteNext()
            }
            tellMasterKey(leaders.present)
        }
        guard let next = try leaders.successor(of: enclosure.fingerprint, for: told) else { return false }
        try asking { () throws(MasterKeyFault) in try keyFile.storeNext(next) }
        return true
    }

    /// What came is stored: the key that it came with takes the place of the one before.
    func settleTakenOver() {
        do throws(PairFault) { try settleMasterKey() } catch {
            // Both keys are there: the next start or lead puts them in order, or says this again.
            logger.error(
                "the leader's master key is not in its place", metadata: ["reason": "\(error.sentence)"])
        }
    }

    private func settleMasterKey() throws(PairFault) {
        try RunningNode.settle(keyFile, log, logger)
        let present = try asking { () throws(MasterKeyFault) in try MasterKey(reading: keyFile.path) }
        if let present { tellMasterKey(present) }
    }

    /// Finishes or undoes what was interrupted: the key that opens the vault is in one of the two files.
    static func settle(_ file: MasterKeyFile, _ log: EventLog, _ logger: Logger) throws(PairFault) {
        let keys: [MasterKey]
        do throws(MasterKeyFault) {
            keys = [try MasterKey(reading: file.path), try MasterKey(reading: file.nextPath)].compactMap(
                \.self)
        } catch { throw PairFault(error.sentence) }
        if keys.count == 2, try fingerprints(log).isSuperset(of: keys.map(\.fingerprintText)) {
            keep(file, logger)
        }
        do throws(StartFault) { try Conductor.settleRotation(of: file, log) } catch {
            throw PairFault(error.sentence)
        }
    }

    /// This node's key is another one from now on.
    func tellMasterKey(_ key: MasterKey) {
        guard key.fingerprintText != enclosure.fingerprint else { return }
        enclosure.take(masterKey: key.bytes)
        logger.notice("has another master key now", metadata: ["fingerprint": "\(key.fingerprintText)"])
    }

    /// Sees to it that who follows has heard the key that this node leads with.
    func greetWithMasterKey() {
        if let key = try? MasterKey(reading: keyFile.path) { tellMasterKey(key) }
        let isKnown = peer.withLock { $0?.keys?.isNothingBut(enclosure.fingerprint) ?? false }
        if enclosure.wasUntold(), !isKnown { link.greetAnew() }
    }

    private func opensNothing() throws(PairFault) -> Bool {
        guard let own = enclosure.fingerprint else { return true }
        return try !RunningNode.fingerprints(log).contains(own)
    }

    private static func fingerprints(_ log: EventLog) throws(PairFault) -> Set<String> {
        do throws(EventLogError) {
            return CredentialVault.fingerprintTexts(of: try log.vaultEntries().compactMap(\.value))
        } catch { throw PairFault(error.sentence) }
    }

    /// Backups of another log, or data keys, may be under the key that is about to be replaced: a second name
    /// keeps it.
    static func keep(_ file: MasterKeyFile, _ logger: Logger) {
        let kept = file.path + ".replaced-\(Timestamp.systemNow.microseconds)"
        if Glibc.link(file.path, kept) == 0 {
            logger.notice("keeps its former master key", metadata: ["kept": "\(kept)"])
        }
    }
}
