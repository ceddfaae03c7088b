import Backups
import EventLog
import Logging
import PairEtcd
import PairWire
import Synchronization
import Threads

/// Brings the other node, which has nothing, a copy of this one's log.
///
/// Any node does that has a long log, whether it leads or not: what is copied is the beginning of some log's
/// history, and when the other node follows, the search for the common position decides what of it stays. It
/// goes on beside everything else, on threads that let all others go first; LMDB reuses no page meanwhile.
final class CopyGiver: Sendable {
    private struct State: Sendable {
        var isAtWork = false
        var isStopped = false
        var courier: CopyCourier?
        /// What is on its way, or has come and is verified by the other node.
        var copy: PairMember.Copy?
        /// The thread that works, or has worked and is not joined yet.
        var thread: DedicatedThread?
    }

    private let log: EventLog
    private let wire: PairConfiguration
    private let greeting: @Sendable () -> PairGreeting
    private let didBegin: @Sendable () -> Void
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter didBegin: called on another thread when a copy is on its way.
    init(
        of log: EventLog, to wire: PairConfiguration, logger: Logger,
        didBegin: @escaping @Sendable () -> Void, greeting: @escaping @Sendable () -> PairGreeting
    ) {
        (self.log, self.wire, self.logger) = (log, wire, logger)
        (self.didBegin, self.greeting) = (didBegin, greeting)
    }

    /// Begins to bring one, unless one is on its way; returns at once.
    func bring(to host: String) {
        state.withLock { state in
            guard !state.isAtWork, !state.isStopped else { return }
            state.isAtWork = true
            // The one before has ended, but for its last instructions.
            state.thread?.join()
            state.thread = DedicatedThread(name: "vedette-copy", yields: true) { [self] in
                do { try work(host) } catch {
                    logger.warning(
                        "no copy of the log was brought to the other node",
                        metadata: ["host": "\(host)", "reason": "\(sentence(error))"])
                    tell(nil)
                }
                self.state.withLock { $0.isAtWork = false }
            }
        }
    }

    /// The copy that the other node is brought; nil if it has what it needs, for all that is known.
    var copy: PairMember.Copy? { state.withLock { $0.copy } }

    /// The other node is there, and follows or leads.
    func otherIsThere() { tell(nil) }

    private func tell(_ copy: PairMember.Copy?) { state.withLock { $0.copy = copy } }

    /// Gives up what is on its way; blocks until nothing of it is left.
    func stop() {
        let thread = state.withLock { state in
            state.isStopped = true
            state.courier?.abandon()
            return state.thread.take()
        }
        thread?.join()
    }

    private func work(_ host: String) throws {
        let start = RunningNode.now
        let courier = try CopyCourier(to: wire, greeting: greeting())
        defer { courier.close() }
        let isWanted = state.withLock { state in
            state.courier = courier
            return !state.isStopped
        }
        defer { state.withLock { $0.courier = nil } }
        let peer = PeerEnclosure(bytes: try courier.peerGreeting().enclosure)
        guard isWanted, peer?.wantsCopy == true else { return }
        logger.notice("brings the other node a copy of the log", metadata: ["host": "\(host)"])
        let copy = StreamedCopy(of: log)
        let total = try copy.byteCount()
        try courier.send(.begin(byteCount: total))
        var byteCount: UInt64 = 0
        tell(.init(to: host, byteCount: 0, of: total))
        didBegin()
        try copy.make { (part) throws(BackupFault) in
            do {
                switch part {
                case .file(let name): try courier.send(.file(name: name))
                case .bytes(let bytes):
                    byteCount += UInt64(bytes.count)
                    try courier.send(.bytes(Array(bytes)))
                    // The estimate counted pages that are free.
                    tell(.init(to: host, byteCount: byteCount, of: max(total, byteCount + 1)))
                case .fileEnd(let sha256): try courier.send(.fileEnd(sha256: sha256))
                }
            } catch { throw BackupFault("\(error)") }
        }
        try courier.send(.end)
        try courier.flush()
        tell(.init(to: host, byteCount: byteCount, of: byteCount))
        logger.notice(
            "has brought the other node a copy of the log",
            metadata: [
                "host": "\(host)", "bytes": "\(byteCount)", "duration": "\(RunningNode.now - start)",
            ])
    }

    private func sentence(_ error: any Error) -> String {
        (error as? BackupFault)?.sentence ?? "\(error)"
    }
}
