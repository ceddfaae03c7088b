// Starts: the server, stand-in VIMs, and every other command of `vedette` beside it and without it.
import Foundation
import Harness
import Testing

@Suite("The command line", .serialized)
struct CommandLineTests {
    @Test("Every command answers in text and JSON beside a running server, and the same without it")
    func everyCommand() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                let dataDirectory = directory + "/data"
                let (id, exitCode) = try await withServer(
                    dataDirectory: dataDirectory, arguments: quickMonitors
                ) { server in
                    let id = try await server.register(standInVIM("site-1", at: vim.url))
                    let gone = try await server.register(standInVIM("site-2", at: vim.url))
                    try await server.waitForStatus("REACHABLE", of: id)
                    let reply = try await server.request(
                        .put, "/v1.0/vims/\(id)", body: ["vim": ["description": "changed"]])
                    #expect(reply.status == 200)
                    #expect(try await server.request(.delete, "/v1.0/vims/\(gone)").status == 204)
                    try await checkCommands(dataDirectory, id: id)
                    // Only a running server knows its probes.
                    let shown = try await json(dataDirectory, "vim", "show", "site-1")
                    #expect(shown["probes"]["results"][0]["reason"] == "answered", "\(shown["probes"])")
                    return id
                }
                #expect(exitCode == 0)
                try await checkCommands(dataDirectory, id: id)
            }
        }
    }

    private func checkCommands(_ dataDirectory: String, id: String) async throws {
        try await checkVIMCommands(dataDirectory, id: id)
        try await checkAuditCommands(dataDirectory, id: id)
        let check = try await vedette(dataDirectory, "rebuild", "--check")
        #expect(check.exitCode == 0, "\(check.output) \(check.errorOutput)")
    }

    private func checkVIMCommands(_ dataDirectory: String, id: String) async throws {
        let list = try await vedette(dataDirectory, "vim", "list")
        #expect(list.exitCode == 0, "\(list.errorOutput)")
        #expect(list.output.contains("site-1") && list.output.contains("REACHABLE"))
        #expect(!list.output.contains("site-2") && !list.output.contains("\u{1B}["))
        let rows = try await json(dataDirectory, "vim", "list")["vims"].array
        #expect(rows.map { $0["name"] } == ["site-1"])
        #expect(rows.first?["status"] == "REACHABLE")

        for word in ["site-1", id] {
            let text = try await vedette(dataDirectory, "vim", "show", word)
            #expect(text.exitCode == 0 && text.output.contains(id), "\(text.errorOutput)")
            let vim = try await json(dataDirectory, "vim", "show", word)
            #expect(vim["id"].string == id && vim["description"] == "changed")
            #expect(vim["auth_cred"]["password"] == "***")
            for key in [
                "action_id", "type", "tenant_id", "auth_url", "vim_project", "placement_attr", "is_default",
                "created_at", "updated_at", "status", "extra",
            ] { #expect(vim.object.keys.contains(key), "\(key)") }
        }

        let history = try await vedette(dataDirectory, "vim", "history", "site-1")
        #expect(history.exitCode == 0 && history.output.contains("REACHABLE"), "\(history.errorOutput)")
        let events = try await json(dataDirectory, "vim", "history", id)["history"].array
        #expect(events.map { $0["event_type"] } == ["CREATE", "MONITOR", "UPDATE"], "\(events)")
    }

    private func checkAuditCommands(_ dataDirectory: String, id: String) async throws {
        let text = try await vedette(dataDirectory, "audit", "log")
        #expect(text.exitCode == 0 && text.output.contains("vim.registered"), "\(text.errorOutput)")
        let all = try await auditLog(dataDirectory)
        #expect(all.compactMap { $0["position"].integer } == Array(1...max(1, all.count)))
        #expect(all.allSatisfy { $0["type"].string != nil && $0["time"].string != nil })
        #expect(all.allSatisfy { $0.object.keys.contains("vim_id") && $0.object.keys.contains("actor") })

        let own = try await auditLog(dataDirectory, "--vim", "site-1")
        #expect(!own.isEmpty && own.allSatisfy { $0["vim_id"].string == id })
        let registered = try await auditLog(dataDirectory, "--type", "vim.registered")
        #expect(registered.count == 2)
        let limited = try await auditLog(dataDirectory, "--from", "2", "--limit", "3")
        #expect(limited.map { $0["position"] } == [2, 3, 4])
        let moment = try #require(registered.last?["time"].string)
        let until = try await auditLog(dataDirectory, "--until", moment)
        let since = try await auditLog(dataDirectory, "--since", moment)
        #expect(until.allSatisfy { ($0["time"].string ?? "") <= moment })
        #expect(!since.isEmpty && since.allSatisfy { ($0["time"].string ?? "") >= moment })

        // As it was: nothing before the first registration, two VIMs after the second, one now.
        let positions = registered.compactMap { $0["position"].integer }
        #expect(try await names(dataDirectory, at: "\(positions[0] - 1)") == [])
        #expect(try await names(dataDirectory, at: "\(positions[0])") == ["site-1"])
        #expect(try await names(dataDirectory, at: moment) == ["site-1", "site-2"])
        #expect(try await names(dataDirectory, at: nil) == ["site-1"])
        let past = try await json(dataDirectory, "audit", "state", "--at", "\(positions[0])")
        #expect(past["vims"][0]["status"] == "PENDING" && past["vims"][0]["description"] == "")
        let state = try await vedette(dataDirectory, "audit", "state", "--vim", "site-1")
        #expect(state.exitCode == 0 && state.output.contains("site-1"), "\(state.errorOutput)")
    }

    @Test("A rebuild drops the checkpoint, replays from the first event, and proves the result equal")
    func rebuild() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                let dataDirectory = directory + "/data"
                try await withServer(dataDirectory: dataDirectory) { server in
                    _ = try await server.register(standInVIM("site-1", at: vim.url))
                }
                let before = try await json(dataDirectory, "vim", "show", "site-1")
                let rebuilt = try await vedette(dataDirectory, "rebuild")
                #expect(rebuilt.exitCode == 0, "\(rebuilt.errorOutput)")
                #expect((rebuilt.output + rebuilt.errorOutput).contains("events"))
                #expect(try await vedette(dataDirectory, "rebuild", "--check").exitCode == 0)
                #expect(try await json(dataDirectory, "vim", "show", "site-1") == before)
            }
        }
    }

    @Test("The audit log is followed live")
    func follow() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { vim in
                try await withServer(dataDirectory: directory + "/data", arguments: quickMonitors) { server in
                    let arguments = ["audit", "log", "--follow", "--json", "--data-directory"]
                    let (_, exitCode) = try await withProcess(
                        Programs.vedette, arguments + [server.dataDirectory], log: directory + "/follow.log"
                    ) { follower in
                        let id = try await server.register(standInVIM("followed", at: vim.url))
                        try await eventually("the follower sees the VIM become reachable") {
                            try followed(follower).contains {
                                $0["vim_id"].string == id && $0["status"] == "REACHABLE"
                            }
                        }
                        #expect(try followed(follower).first?["position"] == 1)
                        follower.signal(SIGINT)
                        try await eventually("the follower ends") { isZombie(follower.id) }
                    }
                    #expect(exitCode == 0 || exitCode == 130)
                }
            }
        }
    }

    private func followed(_ follower: RunningProcess) throws -> [JSON] {
        // The last line may be half written.
        let whole = follower.logText().split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        return try whole.map { try JSON(text: String($0)) }
    }

    @Test("What is not there is exit code 1, what is not understood is exit code 2")
    func exitCodes() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try await withServer(dataDirectory: dataDirectory) { _ in }
            for words in [
                ["vim", "show", "nobody"], ["vim", "history", "nobody"], ["audit", "log", "--vim", "nobody"],
                ["audit", "state", "--vim", "nobody"],
            ] {
                let finished = try await runVedette(words + ["--data-directory", dataDirectory])
                #expect(finished.exitCode == 1, "\(words): \(finished.output)")
                #expect(finished.errorOutput.contains("nobody"), "\(finished.errorOutput)")
            }
            for words in [["vim", "list"], ["audit", "log"], ["rebuild", "--check"], ["audit", "state"]] {
                let finished = try await runVedette(words + ["--data-directory", directory + "/none"])
                #expect(finished.exitCode == 1, "\(words): \(finished.output)")
                #expect(finished.errorOutput.contains(directory + "/none"), "\(finished.errorOutput)")
                #expect(!FileManager.default.fileExists(atPath: directory + "/none"))
            }
            for words in [
                ["bogus"], ["vim", "show"], ["vim", "list", "--bogus"], ["audit", "log", "--limit", "many"],
                ["audit", "log", "--type", "vim.bogus"], ["audit", "log", "--since", "yesterdayish"],
                ["audit", "state", "--at", "sometime"],
            ] {
                let finished = try await runVedette(words + ["--data-directory", dataDirectory])
                #expect(finished.exitCode == 2, "\(words): \(finished.errorOutput)")
                #expect(!finished.errorOutput.isEmpty)
            }
        }
    }

    @Test("An altered event is not shown as true, lost output is no success, and odd moments are refused")
    func doubtful() async throws {
        try await withTemporaryDirectory { directory in
            let dataDirectory = directory + "/data"
            try await withServer(
                dataDirectory: dataDirectory, arguments: ["--registration-check", "deferred"]
            ) {
                _ = try await $0.register(standInVIM("altered-name", at: "http://127.0.0.1:1"))
            }
            for moment in ["300000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-13-01", "soon"] {
                let refused = try await vedette(dataDirectory, "audit", "state", "--at", moment)
                #expect(refused.exitCode == 2, "\(moment): \(refused.output)")
                #expect(refused.errorOutput.contains(moment), "\(refused.errorOutput)")
            }
            let full = try await run(
                "/bin/sh",
                ["-c", "'\(Programs.vedette)' audit log --data-directory '\(dataDirectory)' >/dev/full"],
                environment: [:], limit: .seconds(30))
            #expect(full.exitCode == 1, "\(full.errorOutput)")

            let file = URL(fileURLWithPath: dataDirectory + "/events.lmdb")
            var bytes = try Data(contentsOf: file)
            var place = bytes.range(of: Data("altered-name".utf8))
            #expect(place != nil)
            while let found = place {
                bytes[found.lowerBound] ^= 1
                place = bytes.range(of: Data("altered-name".utf8))
            }
            try bytes.write(to: file)
            for words in [["audit", "log"], ["audit", "log", "--json"], ["rebuild", "--check"]] {
                let refused = try await runVedette(words + ["--data-directory", dataDirectory])
                #expect(refused.exitCode == 1, "\(words): \(refused.output)")
                #expect(refused.errorOutput.contains("seal"), "\(words): \(refused.errorOutput)")
            }
        }
    }

    @Test(
        "Help teaches",
        arguments: [
            [], ["serve"], ["vim"], ["vim", "list"], ["vim", "show"], ["vim", "history"], ["audit"],
            ["audit", "log"], ["audit", "state"], ["rebuild"],
        ])
    func help(words: [String]) async throws {
        let finished = try await runVedette(words + ["--help"])
        #expect(finished.exitCode == 0)
        #expect(finished.output.contains("USAGE") && finished.output.count > 300, "\(finished.output)")
    }

    private func vedette(_ dataDirectory: String, _ words: String...) async throws -> FinishedProcess {
        try await runVedette(words + ["--data-directory", dataDirectory])
    }

    private func json(_ dataDirectory: String, _ words: String...) async throws -> JSON {
        let finished = try await runVedette(words + ["--json", "--data-directory", dataDirectory])
        guard finished.exitCode == 0 else { throw HarnessError("\(words): \(finished.errorOutput)") }
        return try JSON(text: finished.output)
    }

    private func auditLog(_ dataDirectory: String, _ words: String...) async throws -> [JSON] {
        let finished = try await runVedette(
            ["audit", "log", "--json", "--data-directory", dataDirectory] + words)
        guard finished.exitCode == 0 else { throw HarnessError("\(words): \(finished.errorOutput)") }
        return try finished.lines.map { try JSON(text: $0) }
    }

    private func names(_ dataDirectory: String, at moment: String?) async throws -> [String] {
        let words = ["audit", "state", "--json", "--data-directory", dataDirectory]
        let finished = try await runVedette(words + (moment.map { ["--at", $0] } ?? []))
        guard finished.exitCode == 0 else { throw HarnessError("audit state: \(finished.errorOutput)") }
        return try JSON(text: finished.output)["vims"].array.compactMap { $0["name"].string }.sorted()
    }
}
