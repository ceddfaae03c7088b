public import EventLog
public import Projections
public import Registry

/// Whether what a log's projections and vault hold is what its events say.
public struct StateAudit: Sendable {
    /// VIMs that are registered at the end of the log.
    public var registeredCount = 0
    /// Where the stored checkpoint stands; nil if there is none.
    public var checkpointPosition: UInt64?
    /// Entries of the vault that were checked.
    public var keyCount = 0
    /// What is wrong; empty if nothing is.
    public var faults: [String] = []

    /// Replays the log and compares; anew, if events were dropped meanwhile.
    ///
    /// - Parameters:
    ///   - checkKey: says what is wrong with a VIM's wrapped data key; nil if nothing is. May be asked twice.
    ///   - progress: told of the replay.
    /// - Throws: ``ReadError`` if the log cannot be replayed.
    public init(
        of log: EventLog, checkKey: (VIMID, [UInt8]) -> String?, progress: ((Replay.Progress) -> Void)? = nil
    ) throws(ReadError<ProjectionFault>) {
        // A replay from a base remembers less than a checkpoint made before the drop.
        self = try log.undisturbedByDrops { () throws(ReadError<ProjectionFault>) in
            try StateAudit(onceOf: log, checkKey: checkKey, progress: progress)
        }
    }

    private init(
        onceOf log: EventLog, checkKey: (VIMID, [UInt8]) -> String?, progress: ((Replay.Progress) -> Void)?
    ) throws(ReadError<ProjectionFault>) {
        let stored: (checkpoint: Checkpoint, isIntact: Bool)?
        do throws(EventLogError) { stored = try log.readStoredCheckpoint() } catch { throw .log(error) }
        var base: Checkpoint?
        if let stored {
            checkpointPosition = stored.checkpoint.position
            base = try compare(stored, in: log, progress: progress)
        }
        // A server may register and deregister meanwhile: what was in the vault before the table was made
        // must belong to a VIM, and what is in it afterwards to a VIM that was still registered.
        let before = try StateAudit.vault(of: log)
        // From the rows that were just proven, or from the first event.
        let table = try Replay(of: log, from: base, progress: progress).table
        let after = try StateAudit.vault(of: log)
        registeredCount = table.registeredCount
        checkVault(before, after, table, checkKey)
        do throws(EventLogError) { faults += try log.strayEntries() } catch { throw .log(error) }
    }

    private static func vault(of log: EventLog) throws(ReadError<ProjectionFault>) -> [VaultChange] {
        do throws(EventLogError) { return try log.vaultEntries() } catch { throw .log(error) }
    }

    /// The checkpoint against a replay to its position; returned if they are equal.
    private mutating func compare(
        _ stored: (checkpoint: Checkpoint, isIntact: Bool), in log: EventLog,
        progress: ((Replay.Progress) -> Void)?
    ) throws(ReadError<ProjectionFault>) -> Checkpoint? {
        let checkpoint = stored.checkpoint
        guard stored.isIntact else {
            faults.append("the checkpoint's checksum does not hold: run vedette rebuild")
            return nil
        }
        // Another version's rows are not damage: it is made anew.
        guard checkpoint.schema == VIMTable.schema else { return nil }
        let head: Head
        do throws(EventLogError) { head = try log.head(at: checkpoint.position) } catch { throw .log(error) }
        guard head.position == checkpoint.position, head.seal == checkpoint.seal else {
            faults.append("the checkpoint belongs to another history: run vedette rebuild")
            return nil
        }
        let replayed = try Replay(of: log, upTo: checkpoint.position, progress: progress).table
        guard replayed.encoded() == checkpoint.rows else {
            let kept = VIMTable(encoded: checkpoint.rows, position: checkpoint.position)
            let field = kept?.differences(from: replayed).first.map { " (first: \($0.field))" } ?? ""
            faults.append(
                "the checkpoint at position \(checkpoint.position) differs from a replay\(field): "
                    + "run vedette rebuild --check")
            return nil
        }
        return checkpoint
    }

    /// Every registered VIM has a data key, and nobody else has.
    private mutating func checkVault(
        _ before: [VaultChange], _ after: [VaultChange], _ table: VIMTable,
        _ checkKey: (VIMID, [UInt8]) -> String?
    ) {
        for entry in before {
            guard let id = UniqueID(bytes: entry.key).map(VIMID.init), table.vim(id) != nil else {
                faults.append("the vault has a key for a VIM that never was")
                continue
            }
            keyCount += 1
            if let fault = checkKey(id, entry.value ?? []) {
                faults.append("the data key of VIM \(id): \(fault)")
            }
        }
        for entry in after {
            if let id = UniqueID(bytes: entry.key).map(VIMID.init), let vim = table.vim(id), !vim.isRegistered
            {
                faults.append("the data key of VIM \(id) outlived its deregistration")
            }
        }
        let keys = Set((before + after).map(\.key))
        for vim in table.allVIMs where vim.isRegistered && !keys.contains(vim.id.value.bytes) {
            faults.append("VIM \(vim.id) is registered and has no data key in the vault")
        }
    }
}
