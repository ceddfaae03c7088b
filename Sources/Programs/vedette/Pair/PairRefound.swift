import ArgumentParser
import EventLog
import HighAvailability
import PairEtcd
import Registry

/// Lets a pair go on with the log that an operator names.
struct PairRefound: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refound",
        abstract: "Let the pair go on with this node's log: etcd was restored or lost, or it came late.",
        discussion: """
            Nodes refuse an etcd that has gone back, or is another one: what it says of who is in sync is \
            old, and who believes it may lead without what the other one acknowledged. You must say which \
            log holds everything:

              1. Stop both servers.
              2. On both machines: vedette pair refound, with the server's --pair, --etcd and \
            --data-directory. It changes nothing, and says where the log ends. The one that ends in the \
            higher epoch, or in the same epoch further on, led last.
              3. There: the same with --yes. Start that server.
              4. On the other machine: vedette pair rejoin. Start its server.

            Restore etcd with another --initial-cluster-token: then every node sees that it was.

            Steps 1, 3 and 4 also make a log its pair's that came too late: the other node was started \
            first, with an empty directory, and founded the pair. Then say --yes for the log that is to \
            stay, wherever the other one ends.
            """)

    @OptionGroup var access: PairAccess
    @OptionGroup var directory: DataDirectory
    @Flag(help: "Yes, this log is the one: it holds everything.") var yes = false

    func run() async throws {
        // To write would make one where there is none.
        _ = try directory.open()
        let log = try directory.open(yes ? .write : .read)
        let end =
            "position \(log.head.position), epoch \(log.head.epoch), "
            + "\(Timestamp(microseconds: log.head.time))"
        try await access.ask { keys in
            do throws(PairFault) {
                let refounding = Refounding(of: log, keys)
                if yes { try await refounding.run() } else { try await refounding.check() }
            } catch { throw Failure(error.sentence) }
            guard yes else {
                throw Failure.usage(
                    "the log in \(directory.path) ends at \(end). With --yes it becomes the only one of the "
                        + "pair '\(keys.pair)', and what the other one alone has is lost to the pair: look "
                        + "where that ends, too")
            }
            print(
                "the pair '\(keys.pair)' is founded anew on the log that ends at \(end): start this "
                    + "server; at the other one run vedette pair rejoin first")
        }
    }
}
