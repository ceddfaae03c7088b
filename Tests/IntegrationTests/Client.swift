import Foundation
import Harness

extension RunningServer {
    /// Runs the real `openstack vim …` against this server.
    func openstack(_ arguments: String...) async throws -> FinishedProcess {
        try await run(
            Programs.openstack, ["vim"] + arguments,
            environment: ["OS_AUTH_TYPE": "none", "OS_ENDPOINT": "http://\(address)"])
    }

    /// The audit log's lines as JSON, with these options.
    func auditLog(_ arguments: String...) async throws -> [JSON] {
        let log = try await runVedette(
            ["audit", "log", "--json", "--data-directory", dataDirectory] + arguments)
        guard log.exitCode == 0 else { throw HarnessError("audit log failed: \(log.errorOutput)") }
        return try log.lines.map { try JSON(text: $0) }
    }
}

extension [JSON] {
    /// The events of a type.
    func events(_ type: String) -> [JSON] { filter { $0["type"].string == type } }

    /// The statuses of accepted reports, each once as long as it lasts.
    var statusChanges: [String] {
        var changes: [String] = []
        for event in events("vim.status_reported") where event["verdict"].string == "accepted" {
            if let status = event["status"].string, status != changes.last { changes.append(status) }
        }
        return changes
    }
}

/// Writes a text file.
func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
}

/// Files that hold one of these secrets in clear.
func files(below directory: String, holding secrets: [String]) throws -> [String] {
    try contentsOfFiles(below: directory).filter { file in
        let data = Data(file.bytes)
        return secrets.contains { data.firstRange(of: Data($0.utf8)) != nil }
    }.map(\.path)
}
