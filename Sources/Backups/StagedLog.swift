import Auditing
import EventLog
import Identity
import Registry

#if canImport(Glibc)
    import Glibc
#endif

/// A copy of a log that is made beside a directory's log, to take its place (``RestoredLog``).
///
/// Wants the directory's lock to be held.
struct StagedLog {
    /// What an auditor found in it.
    struct Findings {
        var head: Head
        var identity: [UInt8]
        var eventCount: UInt64
        var registeredCount: Int
        /// How many data keys are wrapped under which master key, by its fingerprint.
        var dataKeyCounts: [String: Int]
    }

    /// The directory whose log it is to be.
    let directory: String
    /// Where it is made.
    var path: String { RestoredLog.stagedDirectory(in: directory) }

    /// Makes the folders that its files come into.
    func makeFolders() throws(BackupFault) {
        try CopiedFile.makeDirectory(path)
        try CopiedFile.makeDirectory(path + "/" + BackupManifest.archiveName)
    }

    /// Makes the names of its files durable.
    func syncFolders() throws(BackupFault) {
        try CopiedFile.syncDirectory(path + "/" + BackupManifest.archiveName)
        try CopiedFile.syncDirectory(path)
    }

    /// Everything that an auditor checks: the files may have been damaged before they were copied.
    ///
    /// - Throws: ``BackupFault`` with a phrase that says what is wrong.
    func verify(progress: @escaping @Sendable (OperatorProgress) -> Void) throws(BackupFault) -> Findings {
        let log: EventLog
        do throws(EventLogError) {
            log = try EventLog(directory: path, access: .read, checking: .trees)
        } catch { throw BackupFault(error.sentence) }
        var counts: [String: Int] = [:]
        let report = Verifier(of: log).run { id, wrapped in
            do throws(VaultFault) { try CredentialVault.check(wrapped, of: id) } catch {
                return error.sentence
            }
            counts[CredentialVault.fingerprintText(of: wrapped) ?? "", default: 0] += 1
            return nil
        } progress: {
            progress(OperatorProgress(done: $0, total: $1, unit: "events"))
        }
        if let damage = report.damage {
            throw BackupFault("position \(damage.position): \(damage.sentence)")
        }
        guard report.head == log.head else {
            throw BackupFault("it ends at position \(report.head.position), and not where it says")
        }
        if let fault = report.state?.faults.first { throw BackupFault(fault) }
        return Findings(
            head: report.head, identity: log.identity, eventCount: report.eventCount,
            registeredCount: report.state?.registeredCount ?? 0, dataKeyCounts: counts)
    }

    /// Two logs that go on from one history are two logs.
    func renewIdentity() throws(BackupFault) -> String {
        let identity: [UInt8]
        do throws(EventLogError) {
            identity = try EventLog(directory: path, access: .write).renewIdentity()
        } catch { throw BackupFault(error.sentence) }
        for name in ["writer.lock", BackupManifest.dataFileName + "-lock"] {
            unlink(path + "/" + name)
        }
        try CopiedFile.syncDirectory(path)
        return identity.hexadecimal
    }

    /// Puts it in the place of the directory's log; returns where the files that it replaced are kept.
    func swap() throws(BackupFault) -> String? {
        do throws(EventLogError) { return try RestoredLog.swap(into: directory) } catch {
            guard RestoredLog.isReady(in: directory) else { throw BackupFault(error.sentence) }
            throw BackupFault(
                error.sentence + "; the restored log is whole, and takes its place at the next start")
        }
    }

    /// Takes its files away.
    func discard() { try? RestoredLog.discard(path) }
}
