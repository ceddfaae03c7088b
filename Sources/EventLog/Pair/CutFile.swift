import Crypto

#if canImport(Glibc)
    import Glibc
#endif

/// What was cut from a log: kept for the auditor, since no log of the pair holds it any more.
///
/// Little-endian:
///
///     0   magic 8, version 2, reserved 6
///     16  identity of the log 16
///     32  position, time and epoch of the mark 24, its seal 32
///     88  position, time and epoch of the last batch 24, its seal 32
///     144 the batches, each: bytes 4, then as it travels (``TravellingBatch``), the vault untold
///         0 4, SHA-256 of everything before it 32
public struct CutFile: Hashable, Sendable {
    /// The log that was cut.
    public var identity: [UInt8]
    /// The end of the batch before.
    public var mark: Head
    /// The end of the last batch.
    public var end: Head

    static let version: UInt16 = 1
    static let magic = Array("VEDCUT\r\n".utf8)
    static let headerByteCount = 144
    static let suffix = ".cut"

    /// First and last position, the time of the last batch in microseconds since 1970, and four bytes of its
    /// seal: the same cut, made again, has the same name, and no other has.
    var fileName: String {
        let seal = end.seal.description.prefix(8)
        return "\(mark.position + 1)-\(end.position)-\(end.time)-\(seal)\(CutFile.suffix)"
    }

    var header: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: CutFile.headerByteCount)
        bytes.withUnsafeMutableBytes { buffer in
            buffer.copyBytes(from: CutFile.magic)
            buffer.store(CutFile.version, at: 8)
            UnsafeMutableRawBufferPointer(rebasing: buffer[16..<32]).copyBytes(from: identity)
            for (head, offset) in [(mark, 32), (end, 88)] {
                buffer.store(head.position, at: offset)
                buffer.store(head.time, at: offset + 8)
                buffer.store(head.epoch, at: offset + 16)
                head.seal.write(to: buffer, at: offset + 24)
            }
        }
        return bytes
    }

    init(identity: [UInt8], mark: Head, end: Head) {
        (self.identity, self.mark, self.end) = (identity, mark, end)
    }

    private init(header: [UInt8]) throws(SegmentFault) {
        guard Array(header[..<8]) == CutFile.magic else {
            throw .damaged("it does not begin like a side file")
        }
        let version = header.withUnsafeBytes { $0.load(at: 8) as UInt16 }
        guard version <= CutFile.version else { throw .newer(version) }
        func head(at offset: Int) -> Head {
            header.withUnsafeBytes {
                Head(
                    position: $0.load(at: offset), seal: Seal(reading: $0, at: offset + 24),
                    time: $0.load(at: offset + 8), epoch: $0.load(at: offset + 16))
            }
        }
        self.init(identity: Array(header[16..<32]), mark: head(at: 32), end: head(at: 88))
    }

    /// Reads a side file, hands its batches to the body in their order, and says what it is.
    ///
    /// - Throws: ``EventLogError/damaged(path:position:what:)`` or
    ///   ``EventLogError/newerFormat(path:found:known:)``; batches before the fault were handed out.
    @discardableResult
    public static func read(
        _ path: String, _ body: (TravellingBatch) -> Void = { _ in }
    ) throws(EventLogError) -> CutFile {
        do throws(SegmentFault) { return try readBatches(of: SegmentFile(path: path), body) } catch {
            throw EventLogError(error, path: path)
        }
    }

    private static func readBatches(
        of file: SegmentFile, _ body: (TravellingBatch) -> Void
    ) throws(SegmentFault) -> CutFile {
        let header = try file.read(headerByteCount, at: 0)
        let cut = try CutFile(header: header)
        var hash = SHA256()
        hash.update(data: header)
        var (offset, end) = (UInt64(headerByteCount), cut.mark)
        while true {
            let front = try file.read(4, at: offset)
            hash.update(data: front)
            offset += 4
            let byteCount = Int(front.withUnsafeBytes { $0.load(at: 0) as UInt32 })
            if byteCount == 0 { break }
            let bytes = try file.read(byteCount, at: offset)
            hash.update(data: bytes)
            offset += UInt64(byteCount)
            do throws(TravelError) {
                let batch = try TravellingBatch(bytes: bytes)
                end = try batch.verified(behind: end)
                body(batch)
            } catch {
                if case .newerFormat(let found, _) = error { throw .newer(found) }
                throw .damaged("a batch is altered", at: end.position + 1)
            }
        }
        let checksum = try file.read(SHA256.byteCount, at: offset)
        guard checksum == Array(hash.finalize()), offset + UInt64(SHA256.byteCount) == file.byteCount else {
            throw .damaged("it does not match its SHA-256")
        }
        guard end == cut.end else { throw .damaged("its batches end elsewhere than it says") }
        return cut
    }
}

extension EventLog {
    /// The first half of a cut: what is to go, durably under its own name.
    func writeCutFile(behind target: Head) throws(EventLogError) -> String {
        if mkdir(cutDirectory, 0o700) == 0 {
            try EventLog.syncDirectory(directory)
        } else if errno != EEXIST {
            throw SegmentFile.failure(cutDirectory)
        }
        let cut = CutFile(identity: identity, mark: target, end: head)
        let path = cutDirectory + "/" + cut.fileName
        try SegmentFile.write(to: path) { (write) throws(EventLogError) in
            var hash = SHA256()
            func add(_ bytes: [UInt8]) throws(EventLogError) {
                hash.update(data: bytes)
                try write(bytes)
            }
            try add(cut.header)
            do throws(ReadError<EventLogError>) {
                try readBatches(from: target.position + 1) { (batch) throws(EventLogError) -> Bool in
                    let travelling = TravellingBatch(batch, vault: .untold)
                    try add(littleEndian(UInt32(travelling.bytes.count)))
                    try add(travelling.bytes)
                    return true
                }
            } catch {
                switch error {
                case .log(let error), .body(let error): throw error
                }
            }
            try add(littleEndian(UInt32(0)))
            try write(Array(hash.finalize()))
        } check: { (temporary) throws(EventLogError) in
            // Only what can be read back, and leads to the present head, may be removed.
            try CutFile.read(temporary)
        }
        try EventLog.syncDirectory(cutDirectory)
        return path
    }

    /// Side files, in the order of their names: what was cut from this log, as far as nobody took it away.
    public func cutFiles() -> [String] {
        EventLog.names(in: cutDirectory).filter { $0.hasSuffix(CutFile.suffix) }.sorted()
            .map { cutDirectory + "/" + $0 }
    }
}

private func littleEndian(_ number: UInt32) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}
