import LMDB

extension EventLog {
    /// All entries of the vault, in the order of their names.
    public func vaultEntries() throws(EventLogError) -> [VaultChange] {
        try withReader { (transaction) throws(ReadFault) in
            try transaction.cursor(over: self.vault) { (cursor) throws(ReadFault) in
                var entries: [VaultChange] = []
                do throws(LMDBError) {
                    while let entry = try cursor.next() {
                        entries.append(VaultChange(key: Array(entry.key), value: Array(entry.value)))
                    }
                } catch { throw .library(error) }
                return entries
            }
        }
    }
}
