import ArgumentParser
import Encodings
import Foundation
import PairEtcd
import PairProtocol

/// One look at a pair.
struct PairStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show who leads, who is in sync, and what is wrong; exit code 1 if anything is.",
        discussion: "KEY is the front of the fingerprint of the master key that a node has.")

    @OptionGroup var access: PairAccess
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let report = try await access.ask { keys in
            PairReport(try await keys.snapshot(), try await keys.members(), pair: keys.pair)
        }
        json ? printJSON(report) : print(report)
        if !report.troubles.isEmpty { throw ExitCode(1) }
    }

    private func print(_ report: PairReport) {
        Swift.print("pair \(report.pair)" + (report.epoch.map { ", epoch \($0)" } ?? ""))
        if !report.nodes.isEmpty {
            var table = TextTable([
                "LOG", "ROLE", "IN SYNC", "END", "LAG", "KEY", "API", "HOST", "VERSION", "HEARD",
            ])
            for node in report.nodes {
                let member = node.member
                table.add([
                    node.shortName, node.isLeader ? "leader" : member == nil ? "-" : "standby",
                    node.isInsync ? "yes" : "no", member.map { "\($0.end)" } ?? "-",
                    node.isLeader ? "" : report.lag(of: node).map { "\($0)" } ?? "-",
                    member?.masterKey.map { String($0.prefix(8)) } ?? "-",
                    member?.restAddress ?? "-", member?.name ?? "-", member?.version ?? "-",
                    member.map { PairStatus.heard($0) } ?? "-",
                ])
            }
            table.print()
        }
        for trouble in report.troubles { Swift.print("! \(trouble)") }
    }

    private static func heard(_ member: PairMember) -> String {
        let seconds = Date.now.timeIntervalSince1970 - Double(member.time) / 1_000_000
        return String(format: "%.1f s ago", max(0, seconds))
    }

    private func printJSON(_ report: PairReport) {
        var line = JSONLine()
        line.add("pair", .string(report.pair))
        line.add("epoch", report.epoch.map { .integer(Int64(clamping: $0)) } ?? .null)
        line.add("leader", report.leader.map { .string($0.name) } ?? .null)
        line.add("in_sync", .integer(Int64(report.insyncCount)))
        line.add(
            "nodes",
            .array(
                report.nodes.map { node in
                    var shown: [String: JSONValue] = [
                        "log": .string(node.name), "leads": .bool(node.isLeader),
                        "is_in_sync": .bool(node.isInsync), "is_alive": .bool(node.isAlive),
                    ]
                    if let member = node.member {
                        shown["host"] = .string(member.name)
                        shown["api"] = .string(member.restAddress)
                        shown["peer_address"] = .string(member.peerAddress)
                        shown["version"] = .string(member.version)
                        shown["master_key"] = member.masterKey.map { .string($0) } ?? .null
                        shown["end"] = .integer(Int64(clamping: member.end))
                        shown["copy"] = member.copy.map {
                            .object([
                                "host": .string($0.host), "bytes": .integer(Int64(clamping: $0.byteCount)),
                                "of": .integer(Int64(clamping: $0.total)),
                            ])
                        }
                    }
                    if let lag = report.lag(of: node) { shown["lag"] = .integer(Int64(clamping: lag)) }
                    return .object(shown)
                }))
        line.add("troubles", .array(report.troubles.map { .string($0) }))
        Swift.print(line.text)
    }
}
