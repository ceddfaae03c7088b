import Crypto
import EventLog
public import Registry
import Synchronization

/// A log that comes from somebody else, part by part, into a directory that has none, or an empty one.
///
/// It is made beside the directory's log and takes its place as a restored one does. Until then nothing opens
/// it, and whoever opens the directory's log for writing throws it away. Holds the directory's lock.
public final class ArrivingCopy: Sendable {
    /// What took the log's place.
    public struct Placed: Hashable, Sendable {
        /// The position of its last event.
        public var position: UInt64
        /// How many events were verified.
        public var eventCount: UInt64
        /// Its identity, a new one, in hexadecimal digits.
        public var identity: String
    }

    private struct State {
        var file: ArrivingFile?
        var names: Set<String> = []
        var isWhole = false
    }

    private let staged: StagedLog
    private let lock: Mutex<DirectoryLock?>
    private let state = Mutex(State())

    /// A copy that will come into a directory, which is made if it is not there.
    public init(into directory: String) throws(BackupFault) {
        staged = StagedLog(directory: directory)
        do throws(EventLogError) {
            lock = Mutex(try DirectoryLock(making: directory))
            try RestoredLog.settle(in: directory)
        } catch { throw BackupFault(error.sentence) }
    }

    /// A copy begins; what came before is thrown away.
    public func begin() throws(BackupFault) {
        discard()
        try staged.makeFolders()
    }

    /// A file begins.
    public func beginFile(named name: String) throws(BackupFault) {
        try state.withLock { (state) throws(BackupFault) in
            guard BackupManifest.isSound(name), state.file == nil, !state.isWhole,
                state.names.insert(name).inserted
            else { throw BackupFault("a file of the copy is out of place") }
            state.file = try ArrivingFile(staged.path + "/" + name)
        }
    }

    /// The file's next bytes.
    public func take(_ bytes: [UInt8]) throws(BackupFault) {
        try state.withLock { (state) throws(BackupFault) in
            guard state.file != nil else { throw BackupFault("bytes of the copy belong to no file") }
            try state.file?.take(bytes)
        }
    }

    /// The file ends; its bytes must have this SHA-256, in hexadecimal digits.
    public func endFile(sha256: String) throws(BackupFault) {
        try state.withLock { (state) throws(BackupFault) in
            guard let file = state.file.take() else { throw BackupFault("a file of the copy ends twice") }
            guard try file.end() == sha256 else {
                // Nothing makes it whole any more.
                state = State()
                throw BackupFault("a file of the copy was damaged on its way")
            }
        }
    }

    /// There is nothing more.
    public func end() throws(BackupFault) {
        try state.withLock { (state) throws(BackupFault) in
            guard state.file == nil, state.names.contains(BackupManifest.dataFileName) else {
                throw BackupFault("the copy ends before it is whole")
            }
            state.isWhole = true
        }
        try staged.syncFolders()
    }

    /// Verifies the whole copy as an auditor would, gives it an identity of its own and puts it in the place
    /// of the directory's log; blocks.
    ///
    /// - Throws: ``BackupFault`` with the directory's log as it was.
    public func place(
        progress: @escaping @Sendable (OperatorProgress) -> Void = { _ in }
    ) throws(BackupFault) -> Placed {
        guard state.withLock({ $0.isWhole }) else { throw BackupFault("the copy is not whole") }
        let findings = try staged.verify(progress: progress)
        let identity = try staged.renewIdentity()
        _ = try staged.swap()
        return Placed(
            position: findings.head.position, eventCount: findings.eventCount, identity: identity)
    }

    /// Throws away what came.
    public func discard() {
        state.withLock { $0 = State() }
        staged.discard()
    }

    /// Gives the directory's lock back; nothing more may be asked of it then.
    public func release() { lock.withLock { $0 = nil } }
}

/// A file of the copy, as far as it came.
private struct ArrivingFile {
    private let file: NewFile
    private var hash = SHA256()

    init(_ path: String) throws(BackupFault) { file = try NewFile(path) }

    mutating func take(_ bytes: [UInt8]) throws(BackupFault) {
        hash.update(data: bytes)
        do { try bytes.withUnsafeBytes { try file.write($0) } } catch let fault as BackupFault {
            throw fault
        } catch { throw BackupFault("\(error)") }
    }

    /// The SHA-256 of all that came; the file is durable.
    func end() throws(BackupFault) -> String {
        try file.sync()
        return hash.finalize().hexadecimal
    }
}
