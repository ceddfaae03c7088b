import EventLog
import FoundationEssentials
public import Registry

#if canImport(Glibc)
    import Glibc
#endif

/// Makes a backup of a log: a consistent copy beside whoever writes it.
///
/// The data file is LMDB's own compact copy, as one transaction sees it; the archive's files are immutable
/// and copied as they are. All of it is made under the target's name with `.partial` and renamed when it is
/// whole and durable. The master key is never in it.
public struct Backup: Sendable {
    private let directory: String
    private let target: String
    private let version: String
    private let now: @Sendable () -> Timestamp

    /// A backup of a data directory into a directory that does not exist or is empty.
    public init(
        of directory: String, to target: String, version: String, now: @escaping @Sendable () -> Timestamp
    ) {
        self.directory = directory
        self.target = target.count > 1 && target.hasSuffix("/") ? String(target.dropLast()) : target
        self.version = version
        self.now = now
    }

    /// Makes it and returns what it holds; blocks.
    ///
    /// - Parameter progress: told how far it is, by this thread.
    public func make(progress: (OperatorProgress) -> Void) throws(BackupFault) -> BackupManifest {
        if rmdir(target) != 0, errno != ENOENT {
            guard errno != ENOTEMPTY, errno != EEXIST else {
                throw BackupFault("\(target) is not empty: name a directory that does not exist yet")
            }
            throw BackupFault(system: target, advice: "name a directory that does not exist yet")
        }
        let partial = target + ".partial"
        let lock = try Partial(partial)
        do throws(BackupFault) {
            let manifest = try fillUndisturbed(partial, progress)
            guard rename(partial, target) == 0 else {
                throw BackupFault(system: target, advice: "name another place")
            }
            try CopiedFile.syncDirectory(Backup.parent(of: target))
            lock.end()
            return manifest
        } catch {
            // What is left is taken away by the next backup to this place, too.
            try? RestoredLog.discard(partial)
            lock.end()
            throw error
        }
    }

    /// A drop that overtakes it takes files that it has yet to copy: then it begins anew, with what is there.
    private func fillUndisturbed(
        _ partial: String, _ progress: (OperatorProgress) -> Void
    ) throws(BackupFault) -> BackupManifest {
        // LMDB's copy writes over its own memory where pages lead elsewhere than they should.
        let log = try open(directory, checking: .everything)
        while true {
            let before = try? log.droppedPart()
            do throws(BackupFault) { return try fill(partial, from: log, progress) } catch {
                guard (try? log.droppedPart()) != before else { throw error }
                RestoredLog.empty(partial)
            }
        }
    }

    private func fill(
        _ partial: String, from log: EventLog, _ progress: (OperatorProgress) -> Void
    ) throws(BackupFault) -> BackupManifest {
        let segments = try archived(log)
        let total = segments.reduce(UInt64(log.usedByteCount)) { $0 + $1.byteCount }
        var done: UInt64 = 0
        func note(_ byteCount: UInt64) {
            done += byteCount
            progress(OperatorProgress(done: min(done, total) >> 10, total: total >> 10, unit: "KiB"))
        }
        let archive = partial + "/" + BackupManifest.archiveName
        try CopiedFile.makeDirectory(archive)
        let data = try copyData(of: log, to: partial, note)
        // What the copy knows as archived is what belongs to it, whatever was archived meanwhile.
        var (manifest, known) = try read(partial)
        manifest.files = [data]
        for segment in known {
            let name = BackupManifest.archiveName + "/" + segment.name
            manifest.files.append(
                try CopiedFile.copy(segment.path, to: partial + "/" + name, name: name, progress: note))
        }
        try CopiedFile.syncDirectory(archive)
        let path = partial + "/" + BackupManifest.fileName
        do { try manifest.stored.write(to: URL(filePath: path)) } catch {
            throw BackupFault("\(path) cannot be written (\(error)): make room, or name another place")
        }
        try syncFile(path)
        try CopiedFile.syncDirectory(partial)
        return manifest
    }

    private func open(
        _ directory: String, checking pages: EventLog.PageCheck = .none
    ) throws(BackupFault) -> EventLog {
        do throws(EventLogError) {
            return try EventLog(directory: directory, access: .read, checking: pages)
        } catch { throw BackupFault(error.sentence) }
    }

    private func archived(
        _ log: EventLog
    ) throws(BackupFault) -> [(name: String, path: String, byteCount: UInt64)] {
        do throws(EventLogError) {
            return try log.archivedSegments().map { ($0.fileName, log.path(of: $0), $0.fileByteCount) }
        } catch { throw BackupFault(error.sentence) }
    }

    private func copyData(
        of log: EventLog, to partial: String, _ note: (UInt64) -> Void
    ) throws(BackupFault) -> BackupManifest.File {
        let name = BackupManifest.dataFileName
        return try CopiedData.read(of: log) { (source) throws(BackupFault) in
            try CopiedFile.write(
                from: source, sourceName: log.path, to: partial + "/" + name, name: name, progress: note)
        }
    }

    /// What the copy says of itself, and where the files of its archive lie.
    private func read(
        _ partial: String
    ) throws(BackupFault) -> (BackupManifest, segments: [(name: String, path: String)]) {
        defer { unlink(partial + "/" + BackupManifest.dataFileName + "-lock") }
        let copy = try open(partial)
        let head = copy.head
        let manifest = BackupManifest(
            version: version, time: now().microseconds, position: head.position, seal: "\(head.seal)",
            epoch: head.epoch, identity: copy.identity.hexadecimal)
        let source = directory + "/" + BackupManifest.archiveName + "/"
        return (manifest, try archived(copy).map { ($0.name, source + $0.name) })
    }

    private func syncFile(_ path: String) throws(BackupFault) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BackupFault(system: path, advice: "look after its device") }
        defer { close(descriptor) }
        chmod(path, 0o600)
        guard fsync(descriptor) == 0 else { throw BackupFault(system: path, advice: "look after its device") }
    }

    static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }
}

/// The unfinished directory, kept for one process: what a killed one left is taken away.
private final class Partial {
    private let descriptor: Int32

    init(_ path: String) throws(BackupFault) {
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw BackupFault(system: path, advice: "name a place where this user may write")
        }
        descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BackupFault(system: path, advice: "remove it") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw BackupFault("another backup to \(path) is under way: wait for it, or name another place")
        }
        RestoredLog.empty(path)
    }

    func end() { close(descriptor) }
}
