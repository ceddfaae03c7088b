public import EventLog
public import Logging
public import Projections
import Synchronization
import Threads

/// Stores checkpoints for a thread that others wait for: makes one on a thread of its own, and puts it into
/// the file a portion at a time.
///
/// Touched by the writer alone.
public struct CheckpointWriter: Sendable {
    private let log: EventLog
    private let logger: Logger
    private let maker = CheckpointMaker()
    private var draft: CheckpointDraft?
    /// The position of the stored checkpoint; 0 if there is none.
    public private(set) var storedPosition: UInt64
    /// The position of the last one that was begun: one that fails is not tried again at once.
    public private(set) var triedPosition: UInt64

    /// For a log that is open for writing.
    public init(of log: EventLog, logger: Logger) {
        self.log = log
        self.logger = logger
        storedPosition = (try? log.readCheckpoint())?.position ?? 0
        triedPosition = storedPosition
    }

    /// Begins one of a table that is the fold of the log up to its head; what was begun before is given up.
    ///
    /// - Parameter whenMade: called on another thread when there is work (``hasWork``).
    public mutating func begin(of table: VIMTable, whenMade: @escaping @Sendable () -> Void) {
        let head = log.head
        (triedPosition, draft) = (head.position, nil)
        do throws(EventLogError) {
            maker.begin(of: table, seal: head.seal, replacing: try log.checkpointFront(), whenMade: whenMade)
        } catch { warn(of: error) }
    }

    /// Whether a portion waits to be written.
    public var hasWork: Bool { draft != nil || maker.hasMade }
    /// Whether one was begun and is neither stored nor given up.
    public var isUnderWay: Bool { draft != nil || maker.isUnderWay }

    /// Writes a portion, in a commit of its own.
    public mutating func work() {
        guard var next = draft.take() ?? maker.take() else { return }
        do throws(EventLogError) {
            let isDone = try log.advance(&next)
            if next.isStored { storedPosition = next.position }
            if !isDone { draft = next }
        } catch { warn(of: error) }
    }

    /// Stores one at once, in one commit, for which everybody waits.
    public mutating func store(_ table: VIMTable) {
        let head = log.head
        giveUp()
        triedPosition = head.position
        do throws(EventLogError) {
            try log.write(table.checkpoint(seal: head.seal))
            storedPosition = head.position
        } catch { warn(of: error) }
    }

    /// Gives up what was begun.
    public mutating func giveUp() {
        maker.giveUp()
        draft = nil
    }

    /// The same, and asks the log what is stored: another one may have written there, or dropped events, or a
    /// cut, have taken it with them.
    public mutating func lookAnew() {
        giveUp()
        storedPosition = (try? log.checkpointPosition()) ?? 0
        triedPosition = storedPosition
    }

    private func warn(of error: EventLogError) {
        logger.warning("no checkpoint could be stored", metadata: ["reason": "\(error.sentence)"])
    }
}

/// Makes the rows of a checkpoint on a thread of its own: of a large registry they take a third of a second.
private final class CheckpointMaker: Sendable {
    private struct State {
        /// Told from those that were given up by its number.
        var number: UInt64 = 0
        var isAtWork = false
        var made: CheckpointDraft?
    }

    private let state = Mutex(State())

    /// Begins; what was begun before is given up.
    ///
    /// - Parameter whenMade: called on the thread once ``take()`` has something to give.
    func begin(
        of table: VIMTable, seal: Seal, replacing front: StoredFront, whenMade: @escaping @Sendable () -> Void
    ) {
        let number = state.withLock { state in
            state = State(number: state.number + 1, isAtWork: true)
            return state.number
        }
        DedicatedThread(name: "vedette-rows", yields: true) { [self] in
            let draft = CheckpointDraft(of: table.checkpoint(seal: seal), replacing: front)
            let isWanted = state.withLock { state in
                guard state.number == number, state.isAtWork else { return false }
                state = State(number: number, made: draft)
                return true
            }
            if isWanted { whenMade() }
        }.detach()
    }

    /// What was made; once.
    func take() -> CheckpointDraft? { state.withLock { $0.made.take() } }

    /// Whether there is something to take.
    var hasMade: Bool { state.withLock { $0.made != nil } }

    /// Whether something is being made, or was made and not taken.
    var isUnderWay: Bool { state.withLock { $0.isAtWork || $0.made != nil } }

    /// Nobody wants it any more.
    func giveUp() { state.withLock { $0 = State(number: $0.number) } }
}
