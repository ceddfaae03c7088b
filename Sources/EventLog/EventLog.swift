import Crypto
package import LMDB
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The last durable place of a log.
public struct Head: Hashable, Sendable {
    /// The position of the last event; 0 in an empty log.
    public var position: UInt64
    /// The seal of the last batch; ``Seal/none`` in an empty log.
    public var seal: Seal
    /// When the last batch was committed, in microseconds since 1970; 0 in an empty log.
    public var time: UInt64
    /// The epoch of the last batch; 0 in an empty log.
    public var epoch: UInt64

    /// All parts at once.
    public init(position: UInt64, seal: Seal, time: UInt64, epoch: UInt64) {
        self.position = position
        self.seal = seal
        self.time = time
        self.epoch = epoch
    }

    /// The head of an empty log.
    public static let none = Head(position: 0, seal: .none, time: 0, epoch: 0)
}

/// A change of the vault, made in the same commit as the events it belongs to.
public struct VaultChange: Hashable, Sendable {
    /// The entry's name.
    public var key: [UInt8]
    /// The entry's bytes; nil destroys it.
    public var value: [UInt8]?

    /// All parts at once.
    public init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// The append-only log: batches of sealed events in one LMDB file.
///
/// Rules:
/// - Only one process writes (a lock file says who), and within it only one thread at a time, the *writer*,
///   calls ``append(sealed:vault:)`` and the checkpoint's writers. Why: the log is one order, and what is
///   written next rests on what was written last. (LMDB's write transactions belong to a thread, too, but
///   none outlives a call.)
/// - Any number of processes and threads read, at any time.
/// - What ``append(sealed:vault:)`` returned is durable; what it threw left nothing behind.
public final class EventLog: Sendable {
    /// How a log is opened.
    public enum Access: Sendable {
        /// Reads and appends; creates what is missing and keeps other writers out.
        case write
        /// Changes what is disposable, the checkpoint, beside a writer or alone; does not append.
        case maintain
        /// Only reads, beside a writer or alone.
        case read
    }

    /// Which pages of the data file are looked at before LMDB follows them.
    public enum PageCheck: Sendable {
        /// None: a fault in one of them may end the process.
        case none
        /// All that say where others are; about one in two hundred.
        case trees
        /// The front of every value of many pages, too; about one in three, or of small batches all.
        ///
        /// For who copies pages: an auditor looks at the front of each batch that it reads.
        case everything
    }

    /// The directory that holds the log.
    public let directory: String
    /// The data file's path.
    public let path: String
    /// Names this log among copies of the same history; 16 random bytes made when the file was.
    public let identity: [UInt8]

    package let environment: Environment
    let meta: Database
    package let batches: Database
    let checkpoints: Database
    package let vault: Database
    /// The index of the archive; nil if only read, and written by a version that had none.
    package let segments: Database?
    /// What stands for dropped events; nil if only read, and written by a version that dropped none.
    package let base: Database?
    private let mapByteCount: Int
    private let lock: DirectoryLock?
    let knownHead: Mutex<KnownHead>
    private let commitCount = Atomic<Int>(0)
    /// Rises before and after each commit that changes the vault.
    let vaultRevision = Atomic<UInt64>(0)
    /// Set once the device failed under a commit.
    private let deviceFault = Mutex<EventLogError?>(nil)
    /// Somebody writes segments.
    let isArchiving = Atomic<Bool>(false)
    private let openPath: OpenPath
    /// What a writer's commits fill; nil if only read, or if there can be none.
    private let reserve: FileReserve?
    /// Whether pages of a commit are in the file that was undone.
    ///
    /// Its last write failed, and so it was answered with an error, or a bit of its number flipped. False if
    /// the pages were not checked.
    public let hasUndoneCommit: Bool

    /// Whether the machine had stopped in the middle of a commit, which was answered to nobody and was taken
    /// back when the log was opened.
    public let hasTakenBackCommit: Bool

    /// Whether it was opened to append.
    var isWriter: Bool { lock != nil }

    /// The last durable place, as far as this object knows: a reader refreshes it with ``refreshHead()``.
    public var head: Head { knownHead.withLock { $0.head } }

    /// Bytes the data file uses.
    public var usedByteCount: Int { environment.usage.usedByteCount }

    /// Opens the log in a directory.
    ///
    /// - Parameters:
    ///   - mapByteCount: the most bytes the file may ever have; address space, not disk.
    ///   - pages: what is checked first; nil means the trees if anything is to be written, since LMDB would
    ///     write where a damaged page leads, and else nothing.
    public convenience init(
        directory: String, access: Access, mapByteCount: Int = Limits.mapByteCount,
        checking pages: PageCheck? = nil
    ) throws(EventLogError) {
        try self.init(
            directory: directory, access: access, mapByteCount: mapByteCount, checking: pages,
            start: .current)
    }

    /// Opens it at a certain start of the machine.
    package init(
        directory: String, access: Access, mapByteCount: Int = Limits.mapByteCount,
        checking pages: PageCheck? = nil, start: MachineStart
    ) throws(EventLogError) {
        self.directory = directory
        let path = directory + "/" + EventLog.fileName
        self.path = path
        self.mapByteCount = mapByteCount
        openPath = OpenPath(path)
        switch access {
        case .write:
            try EventLog.makeDirectory(directory)
            lock = try DirectoryLock(directory: directory)
            _ = try RestoredLog.settle(in: directory)
            try EventLog.make(path)
        case .read, .maintain:
            lock = nil
            guard !RestoredLog.isReady(in: directory) else {
                throw .directory(
                    path: directory,
                    reason: "holds a restored log that is not in its place yet: start the server, or run "
                        + "vedette restore again")
            }
            var facts = stat()
            guard stat(path, &facts) == 0, facts.st_size > 0 else {
                throw .directory(
                    path: directory,
                    reason: "holds no log (\(EventLog.fileName) is missing): name the directory of "
                        + "a server with --data-directory")
            }
        }
        hasTakenBackCommit = try EventLog.settleLastCommit(in: directory, access, start)
        try EventLog.checkWholeness(path)
        do throws(LMDBError) {
            var options = Environment.Options(mapByteCount: mapByteCount, readOnly: access == .read)
            options.durability = .recorded(isLast: access == .write)
            options.start = start
            environment = try Environment(path: path, options: options)
            // Readers that were killed would keep their view, and so the file growing.
            if access == .write { try environment.freeDeadReaders() }
        } catch { throw EventLogError(error, path: path, mapByteCount: mapByteCount) }
        hasUndoneCommit = try EventLog.check(
            pages ?? (access == .read ? .none : .trees), of: environment, path: path)
        // Before anything else is looked at or made: a later version may have changed all of it.
        try EventLog.checkFormat(of: environment, path: path, access: access)
        do throws(LMDBError) {
            if access == .write { try environment.syncState() }
            batches = try environment.database("batches", integerKeys: true)
            checkpoints = try environment.database("checkpoint")
            vault = try environment.database("vault")
            segments = try EventLog.openLater("segments", integerKeys: true, environment, access: access)
            base = try EventLog.openLater("base", integerKeys: false, environment, access: access)
            identity = try EventLog.settle(environment, access: access)
            meta = try environment.database("meta")
            knownHead = Mutex(KnownHead())
            reserve =
                access == .write
                ? FileReserve(path: path, behind: environment.usage.usedByteCount) : nil
        } catch { throw EventLogError(error, path: path, mapByteCount: mapByteCount) }
        if access == .write { try EventLog.syncDirectory(directory) }
        try readHead()
        if access == .write { try removeOrphans() }
    }

    /// Seals a batch, appends it and returns the new head once it is durable.
    ///
    /// One transaction, one sync. Must be called by the writer.
    ///
    public func append(
        _ batch: inout BatchBuilder, epoch: UInt64, vault changes: [VaultChange] = [],
        archive: ArchiveChange? = nil
    ) throws(EventLogError) -> Head {
        batch.seal(epoch: epoch, after: head)
        return try append(sealed: batch, vault: changes, archive: archive)
    }

    /// Appends a batch that was sealed behind the present head, and returns the new head once it is durable.
    ///
    /// One transaction, one sync. Must be called by the writer; the batch may have been gathered
    /// and sealed on another one while this one was busy with the batch before.
    public func append(
        sealed batch: BatchBuilder, vault changes: [VaultChange] = [], archive: ArchiveChange? = nil
    ) throws(EventLogError) -> Head {
        precondition(isWriter, "only the holder of the directory's lock appends")
        guard let sealing = batch.sealing else {
            preconditionFailure("a batch is sealed before it is stored")
        }
        precondition(sealing.before == head, "a batch follows the one it was sealed behind")
        if case .enters(let segment) = archive { try checkUncut(segment) }
        let position = batch.firstPosition
        try batch.withBytes { (bytes) throws(EventLogError) in
            try write(vault: changes) { (transaction) throws(LMDBError) in
                try append(bytes, at: position, in: transaction)
                switch archive {
                case .enters(let segment): try enter(segment, in: transaction)
                case .drops(let base): try enter(base, time: sealing.after.time, in: transaction)
                case nil: break
                }
            }
        }
        moveHead(to: sealing.after)
        return sealing.after
    }

    /// Puts a batch's value behind all others.
    func append(
        _ value: UnsafeRawBufferPointer, at position: UInt64, in transaction: borrowing WriteTransaction
    ) throws(LMDBError) {
        try withUnsafeBytes(of: position) { (key) throws(LMDBError) in
            try transaction.append(byteCount: value.count, for: key, in: batches) {
                $0.copyMemory(from: value)
            }
        }
    }

    /// Takes note of a commit that moved the head.
    func moveHead(to head: Head) {
        knownHead.withLock { $0.head = head }
        reserve?.keepAhead(of: usedByteCount)
        freeDeadReadersNowAndThen()
    }

    private func freeDeadReadersNowAndThen() {
        let count = commitCount.wrappingAdd(1, ordering: .relaxed).newValue
        guard count.isMultiple(of: Limits.commitsBetweenReaderChecks) else { return }
        // Tidying: the batch is stored whether or not it succeeds, and the next one tries again.
        _ = try? environment.freeDeadReaders()
    }

    /// An entry of the vault; nil if it was destroyed or never there.
    public func vaultValue(for key: [UInt8]) throws(EventLogError) -> [UInt8]? {
        try withReader { (transaction) throws(ReadFault) in
            do throws(LMDBError) { return try transaction.copy(of: key, in: self.vault) } catch {
                throw .library(error)
            }
        }
    }

    static let fileName = "events.lmdb"

    /// Lets the process end with one sentence, instead of a crash, if a page of a directory's file is so
    /// damaged that it cannot be read; for programs, while they open and read (see `MapGuard`).
    ///
    /// - Parameters:
    ///   - advice: what else to do than what the error says; may be empty.
    ///   - isServing: whether the process does much else meanwhile, whose own crashes must be seen as such.
    public static func explainDamagedPages(
        of directory: String, exitCode: Int32 = 1, advice: String = "", isServing: Bool = false
    ) {
        let error = EventLogError.damaged(
            path: directory + "/" + fileName, position: 0,
            what: "a page leads beyond the file or its own bounds")
        MapGuard.install(
            sentence: "vedette: " + error.sentence + advice, exitCode: exitCode,
            scope: isServing ? .library : .everything)
    }

    /// Runs a write transaction: everything that is ever written goes through here.
    ///
    /// A device that failed is not tried again. Why: after a failed sync the kernel takes the pages for
    /// written, so that the next sync succeeds without them, and a failed write of LMDB's first pages may
    /// have happened. What is stored then is known only by opening the file anew.
    func write(
        _ body: (borrowing WriteTransaction) throws(LMDBError) -> Void
    ) throws(EventLogError) {
        if let fault = deviceFault.withLock({ $0 }) { throw fault }
        while true {
            do throws(TransactionError<LMDBError>) { return try environment.write(body) } catch {
                if error.error == .mapFull, environment.growMap() { continue }
                let fault = EventLogError(
                    error.error, path: path, mapByteCount: environment.usage.mapByteCount)
                if case .deviceFailed = fault { deviceFault.withLock { $0 = fault } }
                throw fault
            }
        }
    }

    /// Runs a read transaction and gives its faults the log's path.
    func withReader<Result>(
        _ body: (borrowing ReadTransaction) throws(ReadFault) -> Result
    ) throws(EventLogError) -> Result {
        let fault: ReadFault
        do throws(TransactionError<ReadFault>) { return try environment.read(body) } catch {
            switch error {
            case .library(let error): fault = .library(error)
            case .body(let error): fault = error
            }
        }
        throw eventLogError(fault)
    }

    func eventLogError(_ fault: ReadFault) -> EventLogError {
        switch fault {
        case .library(let error): EventLogError(error, path: path, mapByteCount: mapByteCount)
        case .damaged(let position, let what): .damaged(path: path, position: position, what: what)
        case .dropped(let part): .dropped(path: path, upTo: part.lastPosition, time: part.time)
        case .cut(let place): .cut(path: path, to: place.position)
        }
    }
}

extension EventLog {
    static let formatKey = Array("format".utf8)
    static let identityKey = Array("identity".utf8)
    static let checksumKey = Array("checksum".utf8)

    /// The first eight bytes of SHA-256(format ‖ identity): tells when one of them was altered.
    static func checksum(ofIdentity identity: [UInt8]) -> [UInt8] {
        let version = withUnsafeBytes(of: Format.version.littleEndian) { Array($0) }
        return Array(SHA256.hash(data: version + identity).prefix(8))
    }

    /// Takes the last commit back if a power cut left part of it; true if it did.
    private static func settleLastCommit(
        in directory: String, _ access: Access, _ start: MachineStart
    ) throws(EventLogError) -> Bool {
        let path = directory + "/" + fileName
        do throws(PageFault) {
            if try Environment.isLastCommitWhole(of: path, start: start) { return false }
        } catch { throw .damaged(path: path, position: 0, what: error.sentence) }
        guard access == .write else {
            // A server whose disk failed keeps its log open, and serves what was stored before.
            if DirectoryLock.isHeld(in: directory) { return false }
            throw .unfinished(path: path)
        }
        do throws(LMDBError) { try Environment.takeBackLastCommit(of: path, start: start) } catch {
            throw EventLogError(error, path: path)
        }
        return true
    }

    /// Refuses a file whose pages are not the trees they should be; true if a commit was undone.
    static func check(
        _ pages: PageCheck, of environment: Environment, path: String
    ) throws(EventLogError) -> Bool {
        guard pages != .none else { return false }
        do throws(TransactionError<PageFault>) {
            return try environment.checkPages(isThorough: pages == .everything)
        } catch {
            switch error {
            case .library(let error): throw EventLogError(error, path: path)
            case .body(let fault): throw .damaged(path: path, position: 0, what: fault.sentence)
            }
        }
    }

    /// Refuses a file of a format that this version does not know; a new file has none yet.
    private static func checkFormat(
        of environment: Environment, path: String, access: Access
    ) throws(EventLogError) {
        let (format, identity, checksum): ([UInt8]?, [UInt8]?, [UInt8]?)
        do throws(TransactionError<LMDBError>) {
            let meta: Database
            do throws(LMDBError) { meta = try environment.database("meta") } catch {
                // Not found is an LMDB file that is no log of ours.
                throw .library(error == .notFound ? .invalid : error)
            }
            (format, identity, checksum) = try environment.read { (transaction) throws(LMDBError) in
                (
                    try transaction.copy(of: formatKey, in: meta),
                    try transaction.copy(of: identityKey, in: meta),
                    try transaction.copy(of: checksumKey, in: meta)
                )
            }
        } catch { throw EventLogError(error.error, path: path) }
        if format == nil, identity == nil, access == .write { return }
        guard let format, format.count == 4 else {
            throw .damaged(path: path, position: 0, what: "it does not say its format")
        }
        let version = format.withUnsafeBytes { $0.load(at: 0) as UInt32 }
        guard version <= Format.version else { throw .newerFormat(path: path, found: version) }
        guard version == Format.version else {
            throw .damaged(path: path, position: 0, what: "format \(version) never existed")
        }
        // Files of the first days have no checksum; the next writer adds it.
        if let checksum, checksum != EventLog.checksum(ofIdentity: identity ?? []) {
            throw .damaged(path: path, position: 0, what: "its identity does not match its checksum")
        }
    }

    /// Makes a new log, if there is none, under another name until it is whole: LMDB writes its first pages
    /// without a sync, and a power cut amid that would leave a file that no version opens.
    private static func make(_ path: String) throws(EventLogError) {
        var facts = stat()
        if stat(path, &facts) == 0, facts.st_size > 0 { return }
        let draft = path + ".new"
        unlink(draft)
        defer { unlink(draft + "-lock") }
        do throws(LMDBError) {
            // Large enough for what every log begins with; whoever opens it sets more aside.
            let environment = try Environment(path: draft, options: .init(mapByteCount: 1 << 20))
            _ = try settle(environment, access: .write)
        } catch { throw EventLogError(error, path: path) }
        guard rename(draft, path) == 0 else { throw DirectoryLock.unusable(path) }
    }

    /// Writes format and identity into a new file, and reads the identity.
    private static func settle(_ environment: Environment, access: Access) throws(LMDBError) -> [UInt8] {
        let meta = try environment.database("meta")
        do throws(TransactionError<LMDBError>) {
            let (known, checksum) = try environment.read { (transaction) throws(LMDBError) in
                (
                    try transaction.copy(of: identityKey, in: meta),
                    try transaction.copy(of: checksumKey, in: meta)
                )
            }
            if let known {
                if checksum == nil, access == .write { try write(known, into: meta, of: environment) }
                return known
            }
            guard access == .write else { throw TransactionError.body(.invalid) }
            var random = SystemRandomNumberGenerator()
            let identity = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
            try write(identity, into: meta, of: environment)
            return identity
        } catch { throw error.error }
    }

    private static func write(
        _ identity: [UInt8], into meta: Database, of environment: Environment
    ) throws(TransactionError<LMDBError>) {
        try environment.write { (transaction) throws(LMDBError) in
            let version = withUnsafeBytes(of: Format.version.littleEndian) { Array($0) }
            try transaction.put(version, for: formatKey, in: meta)
            try transaction.put(identity, for: identityKey, in: meta)
            try transaction.put(checksum(ofIdentity: identity), for: checksumKey, in: meta)
        }
    }

    /// Opens a database that logs of the first versions have not.
    private static func openLater(
        _ name: String, integerKeys: Bool, _ environment: Environment, access: Access
    ) throws(LMDBError) -> Database? {
        do throws(LMDBError) { return try environment.database(name, integerKeys: integerKeys) } catch {
            guard error == .notFound, access == .read else { throw error }
            return nil
        }
    }

    /// A synced file is lost all the same if the entry that names it was never written.
    static func syncDirectory(_ directory: String) throws(EventLogError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DirectoryLock.unusable(directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw DirectoryLock.unusable(directory) }
    }

    static func makeDirectory(_ directory: String) throws(EventLogError) {
        var path = ""
        for part in directory.split(separator: "/", omittingEmptySubsequences: false) {
            path += part.isEmpty ? "" : String(part)
            defer { path += "/" }
            if part.isEmpty || mkdir(path, 0o700) == 0 || errno == EEXIST { continue }
            throw DirectoryLock.unusable(directory)
        }
        var facts = stat()
        guard stat(directory, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else {
            throw .directory(path: directory, reason: "is not a directory: choose another one")
        }
    }

    /// Refuses a file that is shorter than its own pages: touching what is missing would kill the process.
    private static func checkWholeness(_ path: String) throws(EventLogError) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return }  // a new log
        if facts.st_size == 0 { return }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DirectoryLock.unusable(path) }
        defer { close(descriptor) }
        // Two meta pages stand first; of each, at byte 16: magic, version, address, map size, two
        // database records of 48 bytes (the first begins with the page size), last used page, transaction
        // (LMDB 0.9, mdb.c, `MDB_meta`).
        var pageByteCount: UInt64 = 4_096
        var newest: (transaction: UInt64, lastPage: UInt64)?
        for page in 0..<2 {
            var meta = [UInt8](repeating: 0, count: 16 + 24 + 96 + 16)
            guard pread(descriptor, &meta, meta.count, off_t(UInt64(page) * pageByteCount)) == meta.count
            else {
                throw .damaged(path: path, position: 0, what: "it is too short to be a log")
            }
            let (magic, size, lastPage, transaction) = meta.withUnsafeBytes {
                (
                    $0.load(at: 16) as UInt32, UInt64($0.load(at: 40) as UInt32), $0.load(at: 136) as UInt64,
                    $0.load(at: 144) as UInt64
                )
            }
            guard magic == 0xBEEF_C0DE else { continue }
            guard size.nonzeroBitCount == 1, (256...65_536).contains(size),
                page == 0 || size == pageByteCount,
                lastPage < UInt64(Int64.max) / size
            else { throw .damaged(path: path, position: 0, what: "its first pages contradict themselves") }
            pageByteCount = size
            if newest.map({ $0.transaction < transaction }) ?? true { newest = (transaction, lastPage) }
        }
        guard let newest else { throw .damaged(path: path, position: 0, what: "it is no LMDB file") }
        // Asked after the pages were read, so that a writer at work is never mistaken for damage.
        guard stat(path, &facts) == 0 else { throw DirectoryLock.unusable(path) }
        guard UInt64(facts.st_size) >= (newest.lastPage + 1) * pageByteCount else {
            throw .damaged(
                path: path, position: 0,
                what:
                    "it has \(facts.st_size) bytes where \((newest.lastPage + 1) * pageByteCount) are in use")
        }
    }
}

/// A file is opened once in a process at a time: LMDB's locks would silently be lost otherwise.
private final class OpenPath: Sendable {
    private static let open = Mutex<Set<String>>([])
    private let path: String

    init(_ path: String) {
        self.path = path
        let inserted = OpenPath.open.withLock { $0.insert(path).inserted }
        precondition(inserted, "\(path) is already open in this process")
    }

    deinit { _ = OpenPath.open.withLock { $0.remove(path) } }
}
