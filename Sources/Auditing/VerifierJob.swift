import Synchronization

/// The stretches of one verification, handed out to workers and joined in order.
///
/// A segment of the archive is one stretch, since its batches can only be brought back one after the other;
/// the rest of the log is cut into stretches of one length.
final class VerifierJob: Sendable {
    private struct State {
        var nextNumber: Int
        var joinedCount: Int
        var waiting: [Int: [Stretch]] = [:]
        var chain: StretchChain
        var damage: Damage?
    }

    private let state: Mutex<State>
    private let last: UInt64
    private let coldEnds: [UInt64]
    private let length: UInt64
    private let progress: @Sendable (UInt64, UInt64) -> Void

    /// - Parameters:
    ///   - base: what stands for the first segments; nil if none was dropped.
    ///   - checkpoint: where the state is kept to be compared.
    ///   - last: the key of the last batch.
    ///   - coldEnds: the last position of each segment.
    ///   - length: positions of a stretch after the last segment.
    ///   - progress: told the position up to which stretches are joined, and the last.
    init(
        after base: StoredBase?, comparing checkpoint: StretchChain.CheckpointPlace?, last: UInt64,
        coldEnds: [UInt64], length: UInt64,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) {
        let droppedCount = base?.segmentCount ?? 0
        state = Mutex(
            State(
                nextNumber: droppedCount, joinedCount: droppedCount,
                chain: StretchChain(after: base, comparing: checkpoint)))
        self.last = last
        self.coldEnds = coldEnds
        self.length = length
        self.progress = progress
    }

    /// The next stretch to read; nil if there is none, or a damage was found before it.
    func next() -> (number: Int, range: Range<UInt64>)? {
        state.withLock { state in
            guard state.damage == nil, let range = range(state.nextNumber) else { return nil }
            defer { state.nextNumber += 1 }
            return (state.nextNumber, range)
        }
    }

    private func range(_ number: Int) -> Range<UInt64>? {
        let coldEnd = coldEnds.last.map { $0 + 1 } ?? 0
        if number < coldEnds.count {
            return (number == 0 ? 0 : coldEnds[number - 1] + 1)..<coldEnds[number] + 1
        }
        let (offset, isTooFar) = UInt64(number - coldEnds.count).multipliedReportingOverflow(by: length)
        guard !isTooFar, coldEnd <= last, offset <= last - coldEnd else { return nil }
        let start = coldEnd + offset
        // What is committed meanwhile stands behind the last.
        return start..<start + min(length, last - start + (last == .max ? 0 : 1))
    }

    /// Takes a stretch in, in pieces, and joins it to those before it as soon as they are there.
    func finish(_ number: Int, _ pieces: [Stretch]) {
        let done = state.withLock { state in
            state.waiting[number] = pieces
            while state.damage == nil, let pieces = state.waiting.removeValue(forKey: state.joinedCount) {
                join(pieces, &state)
            }
            return state.chain.position
        }
        progress(done, last)
    }

    private func join(_ pieces: [Stretch], _ state: inout State) {
        let end = range(state.joinedCount)?.upperBound ?? 0
        state.joinedCount += 1
        do throws(Damage) {
            for piece in pieces { try state.chain.join(piece) }
            // An altered key may lie anywhere: nobody walks there through stretches without a batch.
            let next = state.chain.position + 1
            if end <= last, next < end {
                throw Damage(at: next, "no batch begins here, though later ones are stored")
            }
        } catch { state.damage = error }
    }

    /// What the joined stretches are, and the first damage.
    func result() -> (StretchChain, Damage?) { state.withLock { ($0.chain, $0.damage) } }
}
