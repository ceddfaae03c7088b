/// The batches of one segment, for those who read the index themselves.
public struct SegmentBatches {
    private let path: String
    private var reader: SegmentReader

    /// Opens the file that an index entry names, for reading from a position on.
    ///
    /// - Parameter isSealing: whether the batches get their seals; else all of them are zero, and whoever
    ///   reads computes them and compares the last one.
    public init(
        of segment: SegmentHeader, in directory: String, from position: UInt64, isSealing: Bool
    ) throws(EventLogError) {
        path = directory + "/archive/" + segment.fileName
        do throws(SegmentFault) {
            reader = try SegmentReader(path: path, expected: segment, isSealing: isSealing)
            reader.skipSeals(before: position)
        } catch { throw EventLogError(error, path: path) }
    }

    /// The next batch, also those before the position, whose seals are zero; nil after the last.
    ///
    /// Valid until the next call.
    public mutating func next() throws(EventLogError) -> BatchView? {
        do throws(SegmentFault) { return try reader.next() } catch { throw EventLogError(error, path: path) }
    }
}

extension SegmentHeader {
    /// Reads an entry of the index.
    public init(indexEntry bytes: [UInt8]) throws(FormatFault) {
        do throws(SegmentFault) { try self.init(reading: bytes) } catch {
            switch error {
            case .newer(let version): throw FormatFault("a segment has the later format \(version)")
            case .damaged(let what, _): throw FormatFault("the entry of a segment is damaged: \(what)")
            }
        }
    }
}

extension EventLogError {
    /// Gives a segment's fault its file and meaning.
    init(_ fault: SegmentFault, path: String) {
        switch fault {
        case .newer(let version):
            self = .newerFormat(
                path: path, found: UInt32(version), known: UInt32(SegmentHeader.version))
        case .damaged(let what, let position): self = .damaged(path: path, position: position, what: what)
        }
    }
}
