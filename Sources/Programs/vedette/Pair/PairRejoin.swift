import ArgumentParser
import EventLog
import PairEtcd
import PairProtocol

/// Lets a node begin anew.
struct PairRejoin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rejoin",
        abstract: "Put this node's log aside, so that its next start takes everything from the leader.",
        discussion: """
            For a node that cannot follow by itself: its log is damaged, has another history than the \
            pair's, or what the leader lacks of it is archived. Its server must be stopped. Nothing is \
            deleted: log, archive and master key are kept in the data directory, in replaced-TIME.
            """)

    @OptionGroup var access: PairAccess
    @OptionGroup var directory: DataDirectory

    func run() async throws {
        let path = directory.path
        let lock: DirectoryLock
        do throws(EventLogError) { lock = try DirectoryLock(making: path) } catch {
            throw Failure(error.sentence)
        }
        defer { withExtendedLifetime(lock) {} }
        // A log that cannot be opened is nobody's hope, so only one that can be is asked for.
        if let log = try? EventLog(directory: path, access: .read), let identity = LogIdentity(log: log) {
            try await access.ask { try await refuse(identity, $0) }
        }
        let kept: String?
        do throws(EventLogError) { kept = try RestoredLog.setAside(in: path) } catch {
            throw Failure(error.sentence)
        }
        guard let kept else { throw Failure("\(path) holds no log: start its server, and it joins") }
        print("the log is kept in \(kept); start the server, and it joins with nothing")
    }

    /// The pair may not lose the only log that has everything.
    private func refuse(_ identity: LogIdentity, _ keys: PairKeys) async throws {
        let snapshot = try await keys.snapshot()
        guard let insync = snapshot.insync, insync.members.contains(identity) else { return }
        if insync.members.count == 1 {
            throw Failure(
                "this log alone has everything that the pair '\(keys.pair)' acknowledged: it must not go")
        }
        if snapshot.leader == nil {
            throw Failure(
                "nobody leads the pair '\(keys.pair)', and this log may: start its server, or let the other "
                    + "node lead first")
        }
    }
}

extension LogIdentity {
    /// The identity of a log.
    fileprivate init?(log: EventLog) {
        guard log.identity.count == 16 else { return nil }
        self.init(bytes: log.identity.withUnsafeBytes { $0.loadUnaligned(as: SIMD2<UInt64>.self) })
    }
}
