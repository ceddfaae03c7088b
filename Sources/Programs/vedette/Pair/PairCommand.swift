import ArgumentParser
import EtcdClient
import PairEtcd
import PairProtocol

/// What operators do with a pair, from any machine that reaches etcd.
struct PairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pair",
        abstract: "Look at a pair of conductors, let the other one lead, or take a lost node out of it.",
        discussion: """
            All of it goes through etcd, so it works on any machine that reaches it. --pair and --etcd may \
            also stand in the environment (VEDETTE_PAIR, VEDETTE_ETCD).

              vedette pair status --pair edge --etcd http://10.0.0.1:2379
            """,
        subcommands: [
            PairStatus.self, PairSwitchover.self, PairRemove.self, PairRejoin.self, PairRefound.self,
        ],
        defaultSubcommand: PairStatus.self)
}

/// Which pair, and how etcd is reached.
struct PairAccess: ParsableArguments {
    @Option(help: ArgumentHelp("The pair's name.", valueName: "name")) var pair: String?
    @OptionGroup var etcd: EtcdFlags

    /// Asks something of the pair's keys, and words what goes wrong.
    func ask<Result>(_ body: (PairKeys) async throws -> Result) async throws -> Result {
        let sources = try await SettingsSources(file: nil, keys: [])
        guard let name = try pair ?? sources.text("pair") else {
            throw Failure.usage("--pair: name the pair, as its servers do")
        }
        guard let settings = try etcd.settings(sources) else {
            throw Failure.usage("--etcd: name the URLs of etcd, as the pair's servers do")
        }
        let client: EtcdClient
        do throws(EtcdFault) { client = try EtcdClient(settings) } catch { throw Failure(error.description) }
        do {
            let result = try await body(try PairKeys(client, pair: name))
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw (error as? PairEtcdFault).map { Failure($0.description) } ?? error
        }
    }
}

/// Lets the other node lead.
struct PairSwitchover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "switchover",
        abstract: "Let the other node lead; nothing is lost, and callers wait for less than a second.")

    @OptionGroup var access: PairAccess

    func run() async throws {
        try await access.ask { keys in
            let report = PairReport(try await keys.snapshot(), try await keys.members(), pair: keys.pair)
            guard let leader = report.leader else {
                throw Failure("nobody leads the pair '\(keys.pair)': see vedette pair status")
            }
            guard report.nodes.contains(where: { $0.isInsync && !$0.isLeader && $0.isAlive }) else {
                throw Failure(
                    "the other node is not in sync, so it cannot lead: see vedette pair status, and try "
                        + "again when both are")
            }
            try await keys.wishSwitchover(from: leader.identity)
            let end = ContinuousClock.now + .seconds(10)
            while ContinuousClock.now < end {
                if let now = try await keys.snapshot().leader, now.identity != leader.identity {
                    return print("\(PairKeys.text(of: now.identity).prefix(16)) leads in epoch \(now.epoch)")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw Failure(
                "\(leader.shortName) still leads after 10 seconds: see its log, and vedette pair status")
        }
    }
}

/// Takes a lost node out of the pair.
struct PairRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take a log out of those that count as in sync, since it is lost or shall not come back.",
        discussion: """
            A leader does this by itself as soon as it misses its partner. It is needed where nobody leads, \
            and the node that could shall not. What the removed log alone has is lost with it; a node that \
            comes back with it joins as a standby.
            """)

    @OptionGroup var access: PairAccess
    @Argument(help: ArgumentHelp("The log's name, as vedette pair status shows it.", valueName: "log"))
    var log: String
    @Flag(help: "Yes, do it.") var yes = false

    func run() async throws {
        try await access.ask { keys in
            let report = PairReport(try await keys.snapshot(), try await keys.members(), pair: keys.pair)
            let found = report.nodes.filter { $0.name.hasPrefix(log) }
            guard let node = found.first, found.count == 1 else {
                throw Failure(
                    found.isEmpty
                        ? "no log of the pair is called \(log): see vedette pair status"
                        : "\(log) may be any of \(found.map(\.name).joined(separator: ", ")): say more"
                )
            }
            guard yes else {
                throw Failure.usage(
                    "this takes \(node.name) out of the pair '\(keys.pair)', and with it what it alone "
                        + "has: look at vedette pair status, then add --yes")
            }
            try await keys.forget(node.identity)
            print("\(node.name) no longer counts as in sync")
        }
    }
}
