import EventLog
import PairProtocol

// A batch as the log knows it, and as the protocol does.

extension LogIdentity {
    /// - Parameter bytes: 16 bytes.
    init(_ bytes: [UInt8]) {
        self.init(bytes: bytes.withUnsafeBytes { $0.loadUnaligned(as: SIMD2<UInt64>.self) })
    }
}

extension Mark {
    init(_ head: Head) {
        self.init(
            position: head.position, epoch: head.epoch,
            seal: head.seal.bytes.withUnsafeBytes { $0.loadUnaligned(as: SIMD4<UInt64>.self) })
    }
}

extension Head {
    /// The time is not compared, and so not known.
    init(_ mark: Mark) {
        let seal = withUnsafeBytes(of: mark.seal) { Seal(bytes: Array($0)) }
        self.init(position: mark.position, seal: seal ?? .none, time: 0, epoch: mark.epoch)
    }
}

extension ShippedBatch {
    init(_ batch: TravellingBatch) {
        self.init(before: batch.firstPosition - 1, end: Mark(batch.end), bytes: batch.bytes)
    }
}
