import EventLog
import Synchronization
import Threads

#if canImport(Glibc)
    import Glibc
#endif

/// A consistent copy of a log's data file, as a stream.
enum CopiedData {
    /// More than a pipe has by itself: fewer turns between who writes and who reads.
    private static let pipeByteCount: Int32 = 1 << 20
    /// `F_SETPIPE_SZ`: a GNU extension that Swift does not import.
    private static let setPipeByteCount: Int32 = 1_031

    /// LMDB writes its copy into a pipe on a thread of its own; the body reads it to its end.
    ///
    /// - Parameter yields: lets every other thread go first where there are too few processors.
    static func read<Result>(
        of log: EventLog, yields: Bool = false,
        _ body: (_ source: Int32) throws(BackupFault) -> Result
    ) throws(BackupFault) -> Result {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw BackupFault(system: "a pipe", advice: "raise ulimit -n") }
        let (source, sink) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // Refused where users may not have so much: then it stays as it is.
        _ = fcntl(sink, setPipeByteCount, pipeByteCount)
        let outcome = Outcome()
        let thread = DedicatedThread(name: "vedette-backup", yields: yields) {
            outcome.set(Swift.Result { () throws(EventLogError) in try log.copy(to: sink) })
            close(sink)
        }
        let read = Swift.Result { () throws(BackupFault) in try body(source) }
        // Whoever still writes hears that nobody reads.
        close(source)
        thread.join()
        let result = try read.get()
        do throws(EventLogError) { try outcome.get() } catch { throw BackupFault(error.sentence) }
        return result
    }
}

/// What became of the copy, told from its thread.
private final class Outcome: Sendable {
    private let result = Mutex<Result<Void, EventLogError>>(.success(()))

    func set(_ result: Result<Void, EventLogError>) { self.result.withLock { $0 = result } }
    func get() throws(EventLogError) { try result.withLock { $0 }.get() }
}
