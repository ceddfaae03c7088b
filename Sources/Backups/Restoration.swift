import EventLog
public import Registry

/// What a restore did.
public struct RestoreReport: Hashable, Sendable {
    /// What was restored.
    public var manifest: BackupManifest
    /// How many events were verified.
    public var eventCount: UInt64
    /// How many VIMs are registered.
    public var registeredCount: Int
    /// The identity that the restored log has, in hexadecimal digits.
    public var identity: String
    /// Where the files that it replaced are kept; nil if there were none.
    public var replaced: String?
    /// How many data keys are wrapped under which master key, by its fingerprint.
    public var dataKeyCounts: [String: Int]
}

/// Puts a backup in the place of a data directory's log.
///
/// The backup is copied beside the log, verified there as an auditor would, gets an identity of its own, and
/// only then takes the log's place (``RestoredLog``). Needs nobody who writes there.
public struct Restoration: Sendable {
    private let backup: String
    private let directory: String
    private let staged: StagedLog
    /// Restore although the present log holds what the backup does not, or cannot be read.
    public var discardsPresentLog = false
    /// Told before a log is read that may be damaged, with what to do then beside what its error says.
    public var willRead: @Sendable (_ directory: String, _ advice: String) -> Void = { _, _ in }

    /// A restore of a backup into a data directory, which is made if it is not there.
    public init(of backup: String, to directory: String) {
        self.backup = backup
        self.directory = directory
        staged = StagedLog(directory: directory)
    }

    /// Restores; blocks.
    ///
    /// - Parameter progress: may be told from any thread.
    /// - Throws: ``BackupFault`` with the present log as it was.
    public func run(progress: @escaping @Sendable (OperatorProgress) -> Void) throws(BackupFault)
        -> RestoreReport
    {
        let manifest = try BackupManifest(reading: backup)
        let lock: DirectoryLock
        do throws(EventLogError) {
            lock = try DirectoryLock(making: directory)
            try RestoredLog.settle(in: directory)
        } catch { throw BackupFault(error.sentence) }
        // Until the end nobody else may write there.
        defer { withExtendedLifetime(lock) {} }
        do throws(BackupFault) {
            try stage(manifest, progress)
            var report = try verify(manifest, progress)
            if !discardsPresentLog { try compare(with: staged.path) }
            report.identity = try staged.renewIdentity()
            report.replaced = try staged.swap()
            return report
        } catch {
            staged.discard()
            throw error
        }
    }

    /// Copies the backup's files and holds each against its checksum.
    private func stage(
        _ manifest: BackupManifest, _ progress: (OperatorProgress) -> Void
    ) throws(BackupFault) {
        try staged.makeFolders()
        var done: UInt64 = 0
        for file in manifest.files {
            let source = backup + "/" + file.name
            let copied = try CopiedFile.copy(source, to: staged.path + "/" + file.name, name: file.name) {
                count in
                done += count
                progress(OperatorProgress(done: done >> 10, total: manifest.byteCount >> 10, unit: "KiB"))
            }
            guard copied == file else {
                throw BackupFault(
                    "\(source) is damaged: its bytes are not those that were backed up; use another backup")
            }
        }
        try staged.syncFolders()
    }

    /// The copy must be whole, and the one that its manifest names.
    private func verify(
        _ manifest: BackupManifest, _ progress: @escaping @Sendable (OperatorProgress) -> Void
    ) throws(BackupFault) -> RestoreReport {
        willRead(staged.path, ", an older one than \(backup)")
        let findings: StagedLog.Findings
        do throws(BackupFault) { findings = try staged.verify(progress: progress) } catch {
            throw unfit(error.sentence)
        }
        guard findings.head.position == manifest.position, "\(findings.head.seal)" == manifest.seal,
            findings.identity.hexadecimal == manifest.identity
        else { throw unfit("its log is not the one that its manifest names") }
        return RestoreReport(
            manifest: manifest, eventCount: findings.eventCount, registeredCount: findings.registeredCount,
            identity: "", dataKeyCounts: findings.dataKeyCounts)
    }

    /// Refuses if the present log holds anything that the backup does not.
    private func compare(with staged: String) throws(BackupFault) {
        guard RestoredLog.holdsLog(directory) else { return }
        willRead(directory, Restoration.advice)
        let fault: String?
        do throws(EventLogError) {
            fault = try Restoration.difference(
                of: try EventLog(directory: directory, access: .read),
                from: try EventLog(directory: staged, access: .read))
        } catch {
            throw BackupFault(
                "what the present log holds beyond the backup is not known, since it cannot be read ("
                    + error.sentence + ")" + Restoration.advice)
        }
        if let fault { throw BackupFault("the log in \(directory) " + fault + Restoration.advice) }
    }

    private static let advice =
        "; to restore all the same add --discard-present-log, which keeps the present files aside"

    /// What the present log has and the restored one has not; nil if it is the beginning of that.
    private static func difference(
        of present: EventLog, from restored: EventLog
    ) throws(EventLogError) -> String? {
        let (head, end) = (present.head, restored.head)
        let gone = try present.droppedPart()?.lastPosition ?? 0
        let missing = try restored.droppedPart()?.lastPosition ?? 0
        if gone > 0, end.position <= gone {
            return "is newer: it has dropped everything up to position \(gone), and the backup ends at "
                + "position \(end.position)"
        }
        if head.position > end.position {
            guard try present.head(at: end.position) == end else { return otherHistory }
            return "is newer: the backup ends at position \(end.position), and it has "
                + "\(head.position - end.position) events after that, the last one of "
                + "\(Timestamp(microseconds: head.time))"
        }
        // Where the backup has dropped the present log's end its history cannot be compared.
        let isKnown = head.position == 0 || head.position > missing
        if isKnown, try restored.head(at: head.position) != head { return otherHistory }
        guard head.position > gone, missing > gone else { return nil }
        return
            "holds what the backup does not: before that was made, everything up to position \(missing) was "
            + "dropped"
    }

    private static let otherHistory = "has another history than the backup"

    private func unfit(_ what: String) -> BackupFault {
        BackupFault("the backup \(backup) does not verify: \(what); use another backup")
    }
}
