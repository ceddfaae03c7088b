import Crypto
import EventLog
import LMDB
import Projections
import Registry

/// What stands for dropped events, as the auditor reads it: the base, and the index entries of what is gone.
struct StoredBase: Sendable {
    /// The position of the last event that is gone.
    var position: UInt64
    var seal: StoredBatch.SealBytes
    /// When the last batch that is gone was committed.
    var lastTime: UInt64
    var lastEpoch: UInt64
    /// Where each stream stood then.
    var lastPositions: [UInt64]
    /// What the events that are gone made of the VIMs.
    var table: VIMTable
    /// When it was dropped.
    var time: UInt64
    var firstSeal: [UInt8]
    /// SHA-256 of the front's first 56 bytes and the rows, computed.
    var digest: [UInt8]
    var segmentCount = 0

    private static let summedByteCount = 56
    private static let frontByteCount = summedByteCount + 32 + 8 + 32

    /// Reads the base; nil if there is none.
    ///
    /// - Parameters:
    ///   - entries: the database `base`, in order of its keys.
    ///   - tombstones: the index of the archive, in order.
    init?(entries: [[UInt8]], tombstones: [SegmentHeader]) throws(Damage) {
        guard let front = entries.first else { return nil }
        guard front.count == StoredBase.frontByteCount else {
            throw Damage(at: 0, "the base, which stands for what was dropped, has no front")
        }
        position = front.withUnsafeBytes { $0.number(at: 0, UInt64.self) }
        let schema = front.withUnsafeBytes { $0.number(at: 8, UInt32.self) }
        let chunkCount = front.withUnsafeBytes { $0.number(at: 12, UInt32.self) }
        let rows = entries.dropFirst().reduce(into: [UInt8]()) { $0 += $1 }
        let byteCount = front.withUnsafeBytes { $0.number(at: 16, UInt64.self) }
        seal = front.withUnsafeBytes { StoredBatch.SealBytes(reading: $0, at: 24) }
        time = front.withUnsafeBytes { $0.number(at: 88, UInt64.self) }
        firstSeal = Array(front[96...])
        var hash = SHA256()
        hash.update(data: front[..<StoredBase.summedByteCount])
        hash.update(data: rows)
        digest = Array(hash.finalize())
        guard digest == Array(front[56..<88]), chunkCount == entries.count - 1, byteCount == rows.count else {
            throw Damage(at: position, "the base, which stands for what was dropped, is altered")
        }
        guard schema == VIMTable.schema, let table = VIMTable(encoded: rows, position: position) else {
            throw Damage(at: position, "the base, which stands for what was dropped, cannot be read")
        }
        self.table = table
        lastPositions = (0..<table.nextStream).map { table.lastPosition(inStream: $0) }
        (lastTime, lastEpoch) = (0, 0)
        try follow(tombstones)
    }

    /// The seals of what is gone follow each other, from the first batch to the base.
    private mutating func follow(_ segments: [SegmentHeader]) throws(Damage) {
        var (end, seal): (UInt64, Seal) = (0, .none)
        for segment in segments where segment.firstPosition <= position {
            guard segment.firstPosition == end + 1, segment.sealBefore == seal, segment.firstTime >= lastTime,
                segment.lastEpoch >= lastEpoch
            else { throw Damage(at: end + 1, "what is left of dropped segments does not follow each other") }
            (end, seal) = (segment.lastPosition, segment.lastSeal)
            (lastTime, lastEpoch) = (segment.lastTime, segment.lastEpoch)
            segmentCount += 1
        }
        guard end == position, StoredBatch.SealBytes(seal) == self.seal else {
            throw Damage(at: position, "the base does not stand where the dropped segments end")
        }
    }

    /// What is wrong with a base by what the log itself says of drops; nil if nothing is.
    ///
    /// It need not be the one of the last drop: a node of a pair carries a drop out after it has taken the
    /// event in, and where it has not, the events that the event names are all there, or found missing.
    static func damage(of base: StoredBase?, saidBy drops: [NotedDrop]) -> Damage? {
        guard let base, base.drop(among: drops) == nil else { return nil }
        guard let last = drops.last else {
            return Damage(
                at: base.position, "no log.dropped says that what is missing up to here was dropped")
        }
        let named = drops.last { $0.event.lastPosition == base.position } ?? last
        return Damage(at: named.position, "the base is not the one that log.dropped names")
    }

    /// The event that tells of it; nil if none does.
    func drop(among drops: [NotedDrop]) -> NotedDrop? { drops.last(where: isMeant) }

    private func isMeant(by noted: NotedDrop) -> Bool {
        noted.event.lastPosition == position && noted.event.baseDigest == digest && noted.time == time
            && noted.event.lastSeal == (seal.seal?.bytes ?? []) && noted.event.firstSeal == firstSeal
    }
}
