import EventLog
import Projections
public import Registry

/// Whether what a log's checkpoint and vault hold is what its events say.
public struct StateAudit: Sendable {
    /// VIMs that are registered at the end of the log.
    public private(set) var registeredCount = 0
    /// Where the stored checkpoint stands; nil if there is none.
    public private(set) var checkpointPosition: UInt64?
    /// Entries of the vault that were checked.
    public private(set) var keyCount = 0
    /// What is wrong; empty if nothing is.
    public private(set) var faults: [String] = []

    private var checkpoint: Checkpoint?
    /// Whose the vault's entries are.
    private var keyOwners: [VIMID] = []

    /// Says what is wrong with a VIM's wrapped data key; nil if nothing is.
    public typealias KeyCheck = (VIMID, [UInt8]) -> String?

    /// Reads the stored checkpoint: before the log's end is looked up, since it never stands behind it.
    init(of log: EventLog) {
        do throws(EventLogError) {
            guard let (stored, isIntact) = try log.readStoredCheckpoint() else { return }
            checkpointPosition = stored.position
            if !isIntact {
                faults.append("the checkpoint's checksum does not hold: run vedette rebuild")
            } else if stored.schema == VIMTable.schema {
                // Another version's rows are not damage: it is made anew.
                checkpoint = stored
            }
        } catch { faults.append(error.sentence) }
    }

    /// Where a table is to be compared with the checkpoint; nil if that cannot be.
    var comparedPlace: StretchChain.CheckpointPlace? {
        checkpoint.map { .init(position: $0.position, seal: StoredBatch.SealBytes($0.seal)) }
    }

    /// Checks the entries of the vault, each on its own.
    mutating func check(_ vault: [(name: [UInt8], key: [UInt8])], _ checkKey: KeyCheck) {
        for (name, key) in vault {
            guard let id = UniqueID(bytes: name).map(VIMID.init) else {
                faults.append("the vault has a key for a VIM that never was")
                continue
            }
            keyOwners.append(id)
            if let fault = checkKey(id, key) { faults.append("the data key of VIM \(id): \(fault)") }
        }
    }

    /// Compares with what the events led to, at the checkpoint's place and at the end.
    mutating func compare(with table: VIMTable, at tableAtCheckpoint: VIMTable?, in log: EventLog) {
        if let checkpoint { compare(checkpoint, with: tableAtCheckpoint) }
        registeredCount = table.registeredCount
        compareVault(with: table)
        do throws(EventLogError) { faults += try log.strayEntries() } catch { faults.append(error.sentence) }
    }

    private mutating func compare(_ checkpoint: Checkpoint, with table: VIMTable?) {
        guard let table else {
            faults.append("the checkpoint belongs to another history: run vedette rebuild")
            return
        }
        guard table.encoded() != checkpoint.rows else { return }
        let kept = VIMTable(encoded: checkpoint.rows, position: checkpoint.position)
        let field = kept?.differences(from: table).first.map { " (first: \($0.field))" } ?? ""
        faults.append(
            "the checkpoint at position \(checkpoint.position) differs from a replay\(field): "
                + "run vedette rebuild --check")
    }

    /// Every registered VIM has a data key, and nobody else has.
    private mutating func compareVault(with table: VIMTable) {
        for id in keyOwners {
            guard let vim = table.monitorFacts(id) else {
                faults.append("the vault has a key for a VIM that never was")
                continue
            }
            keyCount += 1
            if !vim.isRegistered {
                faults.append("the data key of VIM \(id) outlived its deregistration")
            }
        }
        let owners = Set(keyOwners)
        table.forEachWatch { id, _ in
            if !owners.contains(id) {
                faults.append("VIM \(id) is registered and has no data key in the vault")
            }
        }
    }
}
