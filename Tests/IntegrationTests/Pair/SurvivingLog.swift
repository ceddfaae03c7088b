import ClientHistory
import Foundation
import Harness
import Testing

extension PairSite {
    /// The log of both nodes, which must be whole, proven by its seals, and one and the same.
    func survivingLog() async throws -> [LoggedEvent] {
        let logs = try await eventually("both logs end at one place") {
            var logs: [[String]] = []
            for node in pair.nodes { logs.append(try await node.vedette("audit", "log", "--json").lines) }
            return logs[0].count == logs[1].count ? logs : nil
        }
        #expect(logs[0] == logs[1])
        for node in pair.nodes {
            let verified = try await node.vedette("audit", "verify")
            #expect(verified.exitCode == 0, "\(verified.output)\(verified.errorOutput)")
        }
        return try logs[0].map { LoggedEvent(try JSON(text: $0)) }
    }
}

extension LoggedEvent {
    /// Reads a line of `vedette audit log --json`.
    fileprivate init(_ line: JSON) {
        let action = line["action_id"].string ?? ""
        let fact: Fact =
            switch line["type"].string {
            case "vim.registered":
                .registered(
                    name: line["name"].string ?? "", description: line["description"].string ?? "")
            case "vim.updated": .updated(description: line["description"].string)
            case "vim.deregistered": .deregistered
            case "vim.monitor_assigned": .assigned(action: action)
            case "vim.status_reported":
                .reported(
                    action: action, status: line["status"].string ?? "",
                    isAccepted: line["verdict"].string == "accepted",
                    number: line["round_trip_microseconds"].integer ?? 0)
            default: .other
            }
        self.init(line["position"].integer ?? 0, line["vim_id"].string ?? "", fact)
    }
}
