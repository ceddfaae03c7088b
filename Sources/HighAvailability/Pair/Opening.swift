public import Conductor
import EventLog
public import Logging
import PairProtocol
import Projections

extension RunningNode {
    /// Opens the log of a directory, replays it, and makes a node of it.
    ///
    /// - Parameter options: where the log is, and what its conductors need to know.
    /// - Throws: ``PairFault`` with one sentence that says what to do.
    public convenience init(
        opening configuration: NodeConfiguration, _ options: Conductor.Options, logger: Logger
    ) throws(PairFault) {
        let log: EventLog
        do throws(EventLogError) {
            log = try EventLog(
                directory: options.directory, access: .write, mapByteCount: options.mapByteCount)
        } catch { throw PairFault(error.sentence) }
        Conductor.tellOfTakenBackCommit(in: log, logger)
        let replay: Replay
        do throws(StartFault) { replay = try Conductor.replay(log, progress: options.progress) } catch {
            throw PairFault(error.sentence)
        }
        try self.init(configuration, log: log, table: replay.table, options: options, logger: logger)
    }

    /// Tells this node's log from others: a few digits of its identity.
    public var name: String { "\(identity)" }

    /// The end of the durable log.
    public var position: UInt64 { log.head.position }
}
