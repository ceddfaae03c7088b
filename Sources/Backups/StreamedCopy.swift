public import EventLog

#if canImport(Glibc)
    import Glibc
#endif

/// A backup that goes to somebody else instead of into a directory, part by part.
///
/// First the data file as one transaction sees it, then the archive's files. All that the copy knows as
/// archived is among them: they are looked up after it was made. What was archived meanwhile comes, too, and
/// nobody misses it.
public struct StreamedCopy: Sendable {
    /// What comes, in this order for each file.
    public enum Part {
        /// A file begins.
        case file(name: String)
        /// Its next bytes, which stay where they are for the call alone.
        case bytes(UnsafeRawBufferPointer)
        /// It ends, with the SHA-256 of its bytes in hexadecimal digits.
        case fileEnd(sha256: String)
    }

    private let log: EventLog

    /// A copy of a log that is open.
    public init(of log: EventLog) { self.log = log }

    /// About how many bytes will come: the free pages of the data file will not.
    public func byteCount() throws(BackupFault) -> UInt64 {
        try asking { () throws(EventLogError) in
            try log.archivedSegments().reduce(UInt64(log.usedByteCount)) { $0 + $1.fileByteCount }
        }
    }

    /// Makes the copy; blocks.
    ///
    /// Threads that it starts have the niceness of the calling one. What of a file is not there any more,
    /// since it was dropped, is a fault: the copy is begun anew.
    public func make(_ take: (Part) throws(BackupFault) -> Void) throws(BackupFault) {
        // LMDB's copy writes over its own memory where pages lead elsewhere than they should.
        try asking { () throws(EventLogError) in try log.checkPages() }
        try CopiedData.read(of: log) { (source) throws(BackupFault) in
            try send(BackupManifest.dataFileName, from: source, sourceName: log.path, take)
        }
        let segments = try asking { () throws(EventLogError) in try log.archivedSegments() }
        for segment in segments {
            let path = log.path(of: segment)
            let source = try CopiedFile.openToRead(path)
            defer { close(source) }
            try send(
                BackupManifest.archiveName + "/" + segment.fileName, from: source, sourceName: path, take)
        }
    }

    private func send(
        _ name: String, from source: Int32, sourceName: String,
        _ take: (Part) throws(BackupFault) -> Void
    ) throws(BackupFault) {
        try take(.file(name: name))
        let file = try CopiedFile.read(from: source, sourceName: sourceName, name: name) {
            (bytes) throws(BackupFault) in try take(.bytes(bytes))
        }
        try take(.fileEnd(sha256: file.sha256))
    }

    private func asking<Result>(
        _ body: () throws(EventLogError) -> Result
    ) throws(BackupFault) -> Result {
        do throws(EventLogError) { return try body() } catch { throw BackupFault(error.sentence) }
    }
}
