#if canImport(Glibc)
    import Glibc
#endif

/// The place of the master key and, beside it while a rotation is under way, of the key that follows it.
///
/// A rotation stores the next key here, then wraps the data keys under it in one commit of the log, then
/// puts it in the present key's place. Whatever stops it between, the key that opens the vault is in one of
/// the two files, and ``settle(isNextInUse:)`` at the next start finds out in which.
public struct MasterKeyFile: Sendable {
    /// The file's path, links resolved: it is replaced, and a link to it stays.
    public let path: String
    /// Where the next key lies.
    public var nextPath: String { path + ".next" }

    /// The place of a path.
    public init(_ path: String) {
        let resolved = realpath(path, nil)
        self.path = resolved.map { String(cString: $0) } ?? path
        free(resolved)
    }

    /// Keeps the next key; durable when it returns.
    public func storeNext(_ key: MasterKey) throws(MasterKeyFault) {
        try key.write(to: nextPath, replacing: true)
    }

    /// Throws the next key away: nothing is wrapped under it.
    public func discardNext() { unlink(nextPath) }

    /// Puts the next key in the place of the present one, and overwrites that.
    ///
    /// - Throws: ``MasterKeyFault`` with both keys as they were, or with the next one in place.
    public func promoteNext() throws(MasterKeyFault) {
        let old = open(path, O_WRONLY | O_CLOEXEC)
        defer { if old >= 0 { close(old) } }
        guard rename(nextPath, path) == 0, MasterKey.syncDirectory(of: path) else {
            throw MasterKeyFault(
                path, "cannot be replaced by \(nextPath) (\(systemWords())): keep both, and start again")
        }
        if old >= 0 { MasterKeyFile.overwrite(old) }
    }

    /// Finishes or undoes a rotation that was interrupted, if there was one.
    ///
    /// - Parameter isNextInUse: whether data keys are wrapped under the key of this fingerprint.
    public func settle<Failure: Error>(
        isNextInUse: (String) throws(Failure) -> Bool
    ) throws(SettleFault<Failure>) {
        let next: MasterKey?
        do throws(MasterKeyFault) { next = try MasterKey(reading: nextPath) } catch { throw .key(error) }
        guard let next else { return }
        let isInUse: Bool
        do throws(Failure) { isInUse = try isNextInUse(next.fingerprintText) } catch { throw .vault(error) }
        guard isInUse else { return discardNext() }
        do throws(MasterKeyFault) { try promoteNext() } catch { throw .key(error) }
    }

    /// Why it could not be found out which key is the right one.
    public enum SettleFault<Failure: Error>: Error {
        /// One of the files cannot be read or replaced.
        case key(MasterKeyFault)
        /// The vault could not be asked.
        case vault(Failure)
    }

    /// Zeros over a file that has no name any more: its blocks are free, and would keep the key.
    private static func overwrite(_ descriptor: Int32) {
        var facts = stat()
        // Somebody who gave it a second name wanted to keep it.
        guard fstat(descriptor, &facts) == 0, facts.st_nlink == 0 else { return }
        let zeros = [UInt8](repeating: 0, count: Int(facts.st_size))
        // Best effort: a disk that moves its blocks about keeps what it likes.
        _ = pwrite(descriptor, zeros, zeros.count, 0)
        fsync(descriptor)
    }
}
