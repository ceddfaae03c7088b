/// A checkpoint on its way into the file, a portion of its pieces at a time.
///
/// A large registry's has tens of megabytes, and in one commit callers would wait for all of them. Its
/// pieces lie beside those of the stored one, under the other half of the keys, until the commit of the last
/// portion puts its front in the place of the other.
public struct CheckpointDraft: Sendable {
    /// The position that its rows reflect.
    public var position: UInt64 { checkpoint.position }
    /// Whether it has taken the place of the one before: what is left to do is to tidy.
    public private(set) var isStored = false

    let checkpoint: Checkpoint
    let half: CheckpointHalf
    let front: [UInt8]
    /// The front that it takes the place of: if that is another one now, somebody rebuilt.
    let replaced: StoredFront
    /// The number of pieces that are in the file.
    private(set) var pieceCount = 0

    /// Makes the front; from any thread, and takes as long as a SHA-256 of the rows.
    ///
    /// - Parameter replaced: what is stored now, and for as long as the draft is put into the file.
    public init(of checkpoint: Checkpoint, replacing replaced: StoredFront) {
        self.checkpoint = checkpoint
        self.replaced = replaced
        half = replaced.half.other
        front = EventLog.front(of: checkpoint, in: half)
    }

    /// The pieces of the next portion, with their keys.
    var portion: [(key: [UInt8], value: [UInt8])] {
        let end = min(pieceCount + Limits.checkpointPortionMax, EventLog.pieceCount(of: checkpoint))
        return (pieceCount..<end).map { (half.key(ofPiece: $0), EventLog.piece($0, of: checkpoint)) }
    }

    /// Whether the next portion is the last one.
    var isLast: Bool { pieceCount + Limits.checkpointPortionMax >= EventLog.pieceCount(of: checkpoint) }

    /// Takes note that the next portion is in the file, the last one with the front.
    mutating func advance() {
        isStored = isLast
        pieceCount = min(pieceCount + Limits.checkpointPortionMax, EventLog.pieceCount(of: checkpoint))
    }
}

/// The front of the stored checkpoint, or that there is none.
public struct StoredFront: Hashable, Sendable {
    let bytes: [UInt8]?

    /// Where its pieces are.
    var half: CheckpointHalf {
        guard let bytes, bytes.count >= 16 else { return .lower }
        return bytes.withUnsafeBytes { CheckpointHalf(ofFront: $0) }
    }
}

/// A half of the keys of pieces: a checkpoint has its own in one, and its successor's gather in the other.
enum CheckpointHalf: UInt32 {
    case lower = 0
    case upper = 0x8000_0000

    /// The one that a front names, in the highest bit of its count.
    init(ofFront bytes: UnsafeRawBufferPointer) {
        self = (bytes.load(at: 12) as UInt32) < CheckpointHalf.upper.rawValue ? .lower : .upper
    }

    var other: CheckpointHalf { self == .lower ? .upper : .lower }

    /// The key of a piece, which is counted from 0.
    func key(ofPiece index: Int) -> [UInt8] { EventLog.key(rawValue + UInt32(index) + 1) }

    /// The number of a piece, which is counted from 1, by its key; nil if it is of the other half.
    func number(ofKey key: some Collection<UInt8>) -> UInt32? {
        let number = key.reduce(0) { $0 << 8 | UInt32($1) }
        guard key.count == 4, number & CheckpointHalf.upper.rawValue == rawValue, number > rawValue
        else { return nil }
        return number - rawValue
    }
}
