public import EventLog
public import Identity
public import Registry

/// What a rotation did.
public struct RotationReport: Hashable, Codable, Sendable {
    /// Where the master key lies; the new one from now on.
    public var keyFile: String
    /// The old master key, as the first bytes of its SHA-256 in hexadecimal digits.
    public var fromFingerprint: String
    /// The new one.
    public var toFingerprint: String
    /// How many data keys were wrapped anew.
    public var dataKeyCount: UInt64
    /// How many were left, since the old key did not open them.
    public var unopenedCount: UInt64
}

/// Why the master key was not rotated: one sentence that says what to do.
public struct RotationFault: Error, Hashable, Sendable {
    /// One sentence.
    public let sentence: String

    /// A fault in a sentence.
    public init(_ sentence: String) { self.sentence = sentence }
}

extension Conductor {
    /// Wraps all data keys under a new master key, in one commit with `vault.rotated`, and puts the new key
    /// in the place of the old one; events stay as they are.
    ///
    /// Registrations, deregistrations and new credentials wait meanwhile; reports do not. Whatever stops it,
    /// the next start finds the right key (``MasterKeyFile``). In a pair the other node takes the key over
    /// with that commit.
    ///
    /// - Parameters:
    ///   - newKeyFile: holds the new key; nil makes a random one.
    ///   - progress: told the data keys wrapped, and how many there are.
    public func rotateMasterKey(
        to newKeyFile: String? = nil, actor: Actor,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws(RotationFault) -> RotationReport {
        let report = try await vaultGate.close { () async throws(RotationFault) in
            try await rotate(to: newKeyFile, actor: actor, progress: progress)
        }
        guard let report else {
            throw RotationFault("another rotation is under way: wait until it is done")
        }
        return report
    }

    private func rotate(
        to newKeyFile: String?, actor: Actor, progress: (UInt64, UInt64) -> Void
    ) async throws(RotationFault) -> RotationReport {
        guard let log = openLog else { throw RotationFault(CommandFailure.stopped.sentence) }
        try pipeline.partnership?.checkRotation()
        let old = keyring.current
        let key = try nextKey(after: old, file: newKeyFile, log)
        let new = CredentialVault(master: key)
        let (changes, unopenedCount) = try await rewrap(log, from: old, to: new, progress)
        do throws(MasterKeyFault) {
            try keyFile.storeNext(key)
            // Where no data key will tell the two apart, the log must not say what the file does not.
            if changes.isEmpty { try keyFile.promoteNext() }
        } catch { throw RotationFault("\(error.sentence); nothing was rotated") }
        let rotated = VaultRotated(
            fromFingerprint: old.fingerprintText, toFingerprint: new.fingerprintText,
            dataKeyCount: UInt64(changes.count), unopenedCount: unopenedCount, actor: actor)
        keyring.announce(new)
        pipeline.partnership?.rotationBegins(to: key, isInUse: changes.isEmpty)
        do throws(CommandFailure) {
            _ = try await pipeline.submit(.noteVaultRotated(rotated), with: .vault(changes))
        } catch {
            endRotation(isInUse: changes.isEmpty)
            throw fault(error, isInUse: changes.isEmpty)
        }
        endRotation(isInUse: true)
        if !changes.isEmpty {
            do throws(MasterKeyFault) { try keyFile.promoteNext() } catch {
                throw RotationFault(
                    "every data key is wrapped under the new master key, but \(error.sentence): that puts "
                        + "the new key in its place")
            }
        }
        return RotationReport(
            keyFile: keyFile.path, fromFingerprint: rotated.fromFingerprint,
            toFingerprint: rotated.toFingerprint, dataKeyCount: rotated.dataKeyCount,
            unopenedCount: rotated.unopenedCount)
    }

    private func endRotation(isInUse: Bool) {
        keyring.settle(isInUse: isInUse)
        pipeline.partnership?.rotationEnds(isInUse: isInUse)
    }

    private func fault(_ failure: CommandFailure, isInUse: Bool) -> RotationFault {
        if failure == .outcomeUnknown {
            return RotationFault(
                "\(failure.sentence): see vedette vault status which master key is in use")
        }
        let present = isInUse ? "the new" : "still the old"
        return RotationFault("\(failure.sentence); the master key in use is \(present) one")
    }

    /// Reads or makes the next key; looks first whether the files are as they should be.
    private func nextKey(
        after old: CredentialVault, file: String?, _ log: EventLog
    ) throws(RotationFault) -> MasterKey {
        // A rotation whose commit failed may have left its key.
        do throws(StartFault) { try Conductor.settleRotation(of: keyFile, log) } catch {
            throw RotationFault(error.sentence)
        }
        let present: MasterKey?
        var key: MasterKey? = MasterKey()
        do throws(MasterKeyFault) {
            present = try MasterKey(reading: keyFile.path)
            if let file { key = try MasterKey(reading: file) }
        } catch { throw RotationFault(error.sentence) }
        guard present?.fingerprintText == old.fingerprintText else {
            throw RotationFault(
                "master key file \(keyFile.path) is missing or was exchanged since the start: put back the "
                    + "key of fingerprint \(old.fingerprintText)")
        }
        guard let key else {
            throw RotationFault("there is no new master key file \(file ?? ""): name one that is there")
        }
        guard key.fingerprintText != old.fingerprintText else {
            throw RotationFault("\(file ?? "") holds the master key that is in use: name a file with another")
        }
        return key
    }

    /// All data keys that the old master key opens, wrapped under the new one, and how many it does not.
    private func rewrap(
        _ log: EventLog, from old: CredentialVault, to new: CredentialVault,
        _ progress: (UInt64, UInt64) -> Void
    ) async throws(RotationFault) -> (changes: [VaultChange], unopenedCount: UInt64) {
        let entries: [VaultChange]
        do throws(EventLogError) { entries = try log.vaultEntries() } catch {
            throw RotationFault(error.sentence)
        }
        var changes: [VaultChange] = []
        changes.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            if index.isMultiple(of: 1_000) {
                progress(UInt64(index), UInt64(entries.count))
                await Task.yield()
                if Task.isCancelled { throw RotationFault("interrupted; nothing was rotated") }
            }
            guard let id = UniqueID(bytes: entry.key).map(VIMID.init), let wrapped = entry.value,
                let dataKey = try? old.unwrap(wrapped, of: id)
            else { continue }
            changes.append(VaultChange(key: entry.key, value: new.wrap(dataKey, of: id)))
        }
        progress(UInt64(entries.count), UInt64(entries.count))
        return (changes, UInt64(entries.count - changes.count))
    }

    /// Finishes or undoes a rotation that was interrupted.
    ///
    /// - Throws: ``StartFault`` if a key's file, or the vault, cannot be read, or the file not be replaced.
    public static func settleRotation(of file: MasterKeyFile, _ log: EventLog) throws(StartFault) {
        do throws(MasterKeyFile.SettleFault<EventLogError>) {
            try file.settle { (fingerprint) throws(EventLogError) in
                try log.vaultEntries().contains { entry in
                    entry.value.flatMap(CredentialVault.fingerprintText(of:)) == fingerprint
                }
            }
        } catch {
            switch error {
            case .key(let fault): throw StartFault(fault.sentence)
            case .vault(let fault): throw StartFault(fault.sentence)
            }
        }
    }
}
