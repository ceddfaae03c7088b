import Logging
import PairEtcd
import Synchronization

/// Says how far a node is that has much to catch up with: at once, every few seconds, and when it has.
final class CatchUpLines: Sendable {
    private let keys: PairKeys
    private let logger: Logger
    private let catchUp = Mutex(CatchUp())

    init(_ keys: PairKeys, logger: Logger) {
        (self.keys, self.logger) = (keys, logger)
    }

    /// The log stored batches; returns at once.
    func stored(after before: UInt64, upTo position: UInt64, isBehind: Bool) {
        let now = RunningNode.now
        switch catchUp.withLock({ $0.stored(after: before, upTo: position, isBehind: isBehind, at: now) }) {
        case .nothing: break
        case .tell(let line): tell(line)
        case .ask:
            Task {
                let leader = try? await keys.members().values.first { $0.role == .leader }
                if let line = catchUp.withLock({ $0.answer(leader?.end, at: RunningNode.now) }) { tell(line) }
            }
        }
    }

    private func tell(_ line: CatchUp.Line) {
        switch line {
        case .at(let position, let end, let rate):
            var metadata: Logger.Metadata = ["position": "\(position)"]
            if let rate { metadata["events_per_second"] = "\(rate)" }
            if let end {
                metadata["end"] = "\(end)"
                metadata["percent"] = "\(end == 0 ? 100 : min(100, 100 * position / end))"
            }
            logger.info("catches up with the leader", metadata: metadata)
        case .done(let position, let count, let time):
            logger.info(
                "has caught up with the leader",
                metadata: ["position": "\(position)", "events": "\(count)", "duration": "\(time)"])
        }
    }
}
