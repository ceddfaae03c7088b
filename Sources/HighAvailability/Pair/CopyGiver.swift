import Backups
import EventLog
import Logging
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
        /// The thread that works, or has worked and is not joined yet.
        var thread: DedicatedThread?
    }

    private let log: EventLog
    private let wire: PairConfiguration
    private let greeting: @Sendable () -> PairGreeting
    private let logger: Logger
    private let state = Mutex(State())

    init(
        of log: EventLog, to wire: PairConfiguration, logger: Logger,
        greeting: @escaping @Sendable () -> PairGreeting
    ) {
        (self.log, self.wire, self.logger, self.greeting) = (log, wire, logger, greeting)
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
                }
                self.state.withLock { $0.isAtWork = false }
            }
        }
    }

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
        try courier.send(.begin(byteCount: try copy.byteCount()))
        var byteCount = 0
        try copy.make { (part) throws(BackupFault) in
            do {
                switch part {
                case .file(let name): try courier.send(.file(name: name))
                case .bytes(let bytes):
                    byteCount += bytes.count
                    try courier.send(.bytes(Array(bytes)))
                case .fileEnd(let sha256): try courier.send(.fileEnd(sha256: sha256))
                }
            } catch { throw BackupFault("\(error)") }
        }
        try courier.send(.end)
        try courier.flush()
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
