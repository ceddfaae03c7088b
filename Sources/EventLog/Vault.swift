import LMDB
import Synchronization

extension EventLog {
    /// All entries of the vault, in the order of their names.
    public func vaultEntries() throws(EventLogError) -> [VaultChange] {
        try withReader { (transaction) throws(ReadFault) in try self.vaultEntries(transaction) }
    }

    /// The same, if they are wanted, and the position of the last event that is stored beside them.
    func vaultAndEnd(isWanted: Bool) throws(EventLogError) -> (entries: [VaultChange]?, end: UInt64) {
        try withReader { (transaction) throws(ReadFault) in
            (
                isWanted ? try self.vaultEntries(transaction) : nil,
                try self.lastEnd(upTo: .max, transaction).position
            )
        }
    }

    private func vaultEntries(
        _ transaction: borrowing ReadTransaction
    ) throws(ReadFault) -> [VaultChange] {
        try transaction.cursor(over: vault) { (cursor) throws(ReadFault) in
            var entries: [VaultChange] = []
            do throws(LMDBError) {
                while let entry = try cursor.next() {
                    entries.append(VaultChange(key: Array(entry.key), value: Array(entry.value)))
                }
            } catch { throw .library(error) }
            return entries
        }
    }

    /// Runs a write transaction that changes the vault, too.
    ///
    /// The revision rises before it, since who sees what it stored must see another number, and after it, for
    /// who saw that number too early.
    func write(
        vault changes: [VaultChange], _ body: (borrowing WriteTransaction) throws(LMDBError) -> Void
    ) throws(EventLogError) {
        let step: UInt64 = changes.isEmpty ? 0 : 1
        vaultRevision.wrappingAdd(step, ordering: .sequentiallyConsistent)
        try write { (transaction) throws(LMDBError) in
            try body(transaction)
            for change in changes {
                if let value = change.value {
                    try transaction.put(value, for: change.key, in: vault)
                } else {
                    try transaction.remove(change.key, in: vault)
                }
            }
        }
        vaultRevision.wrappingAdd(step, ordering: .sequentiallyConsistent)
    }
}
