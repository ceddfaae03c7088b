import ArgumentParser
import Foundation
import Glibc

/// How long nobody acknowledges when a pair's lead changes hands.
struct Failover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The leader is killed, or the lead is handed over: how long nothing is acknowledged.",
        discussion: """
            Two real `vedette serve --pair` and an etcd of one member. A caller changes a VIM's description, one \
            write after the other. Killed (SIGKILL) is the leader, while the caller writes to the other node: from \
            there until the first write was acknowledged that was sent afterwards. In a switchover (vedette pair \
            switchover) and when the leader is stopped (SIGTERM) it is the longest time between two \
            acknowledgements. After each round the node is started again, and both are in sync before the next.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var server: ServerOptions
    @Option(help: "Rounds of each case.") var rounds = 10
    @Option(parsing: .upToNextOption, help: "Cases: killed, switchover, stopped.") var cases = Case.allCases

    enum Case: String, ExpressibleByArgument, CaseIterable {
        case killed, switchover, stopped
    }

    /// How pair and etcd are told to keep time.
    private struct Timing {
        var lease: Int
        var etcd: String
        var options: [String] = []
        /// The seconds within which a killed leader is to be replaced.
        var asked: Double
    }

    private static let timings = [
        Timing(lease: 2, etcd: "its own times", asked: 3),
        Timing(lease: 1, etcd: "its own times: grants 2 s", asked: 1),
        // A lease is at least one and a half election timeouts, in whole seconds.
        Timing(
            lease: 1, etcd: "heartbeat 50 ms, election 500 ms",
            options: ["--heartbeat-interval", "50", "--election-timeout", "500"], asked: 1),
    ]
    private static let askedOfPlanned = 1.0

    func validate() throws {
        guard rounds > 0, !cases.isEmpty else { throw ValidationError("rounds must be greater than zero") }
    }

    func run() async throws {
        var report = Report(
            "failover", configuration: common.facts + [("rounds", .count(rounds))],
            columns: [
                Column("what", "what"), Column("lease_seconds", "lease s"), Column("etcd", "etcd"),
                Column("least_seconds", "least s"), Column("median_seconds", "median s"),
                Column("most_seconds", "most s"), Column("asked_seconds", "asked s"),
                Column("most_to_asked", "most:asked"), Column("write_milliseconds", "a write, p50 ms"),
                Column("refused", "refused"),
            ])
        for timing in Failover.timings {
            try await withTemporaryDirectory(in: common.parent) { directory in
                let pair = try await ServerPair(
                    program: server.vedette, lease: timing.lease, etcdOptions: timing.options, in: directory)
                let vim = try await pair.register()
                // Handing over takes no lease.
                let isFirst = timing.lease == Failover.timings[0].lease
                for what in cases where what == .killed || isFirst {
                    report.rows.append(try await measure(what, timing, pair, vim))
                }
                await pair.stop()
            }
        }
        report.notes = [
            "refused: writes that were answered otherwise than 200, or not at all, while the lead changed; their "
                + "caller wrote again."
        ]
        try report.print(asJSON: common.json)
    }

    private func measure(
        _ what: Case, _ timing: Timing, _ pair: ServerPair, _ vim: String
    ) async throws -> [Cell] {
        var seconds: [Double] = []
        var latencies = Latencies()
        var refusedCount = 0
        for round in 0..<rounds {
            let leader = try await pair.leader()
            // A switchover is seen from either node, in turn.
            let writer = Writer(to: pair.addresses[what == .switchover ? round % 2 : 1 - leader], vim: vim)
            try await eventually("the pair takes writes") { writer.writes.count >= 50 ? () : nil }
            latencies.add(writer.writes.map { $0.answered - $0.sent })
            let start = nowNanoseconds()
            switch what {
            case .killed:
                pair.send(signal: SIGKILL, to: leader)
                let first = try await eventually("the other node leads") {
                    writer.writes.first { $0.sent >= start }
                }
                seconds.append(Double(first.answered - start) / 1e9)
            case .switchover:
                let command = try pair.switchover()
                seconds.append(try await longestGap(of: writer, since: start, of: pair, from: leader))
                try command.finish()
            case .stopped:
                pair.send(signal: SIGTERM, to: leader)
                seconds.append(try await longestGap(of: writer, since: start, of: pair, from: leader))
            }
            writer.stop()
            refusedCount += writer.refusedCount
            if what != .switchover {
                try await pair.restart(leader)
            } else {
                try await pair.waitUntilInSync()
            }
        }
        let spread = Spread(seconds)
        let asked = what == .killed ? timing.asked : Failover.askedOfPlanned
        return [
            .text(what.rawValue), .count(timing.lease), .text(timing.etcd), .number(spread.least, digits: 2),
            .number(spread.median, digits: 2), .number(spread.most, digits: 2), .number(asked, digits: 1),
            .number(spread.most / asked, digits: 2),
            .number(latencies.microseconds(at: 50) / 1e3, digits: 2), .count(refusedCount),
        ]
    }

    /// The longest time between two acknowledgements, until the other node leads and half a second longer.
    private func longestGap(
        of writer: Writer, since start: UInt64, of pair: ServerPair, from leader: Int
    ) async throws -> Double {
        try await eventually("the other node leads") { try await pair.leader() == leader ? nil : () }
        let count = writer.writes.count
        try await eventually("the other node takes writes") { writer.writes.count > count + 10 ? () : nil }
        try await Task.sleep(for: .milliseconds(500))
        let times = writer.writes.map(\.answered).drop { $0 + 1_000_000_000 < start }
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        return Double(gaps.max() ?? 0) / 1e9
    }
}
