import Foundation
import Harness

/// An unmodified oslo.messaging, in the virtual environment that tools/test makes.
enum Oslo: String, CaseIterable {
    /// 14.0.3, the generation of Debian 12.
    case generation14 = "oslo14"
    /// 18.3.1.
    case generation18 = "oslo18"

    var python: String { Programs.repository + "/.build/venv/\(rawValue)/bin/python" }

    static func script(_ name: String) -> String { Programs.repository + "/Tests/Fixtures/oslo/\(name).py" }

    /// Makes calls with a real client and returns what each gave, by name.
    func calls(
        _ wishes: [JSON], at url: String, configuration: String? = nil, in directory: String
    ) async throws -> JSON {
        var arguments = [Oslo.script("oslo_client"), url]
        if let configuration {
            let file = directory + "/oslo-\(UUID().uuidString).conf"
            try write(configuration, to: file)
            arguments += ["--config", file]
        }
        let finished = try await run(python, arguments, input: JSON.array(wishes).text())
        guard finished.exitCode == 0 else { throw HarnessError("oslo_client: \(finished.errorOutput)") }
        return try JSON(text: finished.output)
    }

    /// Runs real clients that report a VIM again and again beside `body`; returns how often each answer and
    /// each exception came.
    ///
    /// - Parameter timeout: seconds that each call waits.
    func load(
        at url: String, on watched: WatchedVIM, timeout: Int, in directory: String,
        _ body: (Load) async throws -> Void
    ) async throws -> [String: Int] {
        let load = Load(directory: directory)
        let arguments = [
            Oslo.script("oslo_load"), url, watched.id, watched.actionID, "--timeout", "\(timeout)",
            "--stop-file", load.stopFile, "--count-file", load.countFile,
        ]
        let log = directory + "/load.log"
        try await withProcess(python, arguments, log: log) { process in
            try await body(load)
            try write("", to: load.stopFile)
            try await eventually("the clients end") { isZombie(process.id) }
        }
        let text = try String(contentsOfFile: log, encoding: .utf8)
        guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("{") }) else {
            throw HarnessError("oslo_load says: \(text.suffix(2_000))")
        }
        return try JSON(text: String(line)).object.compactMapValues(\.integer)
    }

    /// Clients under way.
    struct Load {
        let directory: String
        var stopFile: String { directory + "/stop-load" }
        var countFile: String { directory + "/load-count" }

        /// Answers so far.
        var answerCount: Int {
            (try? String(contentsOfFile: countFile, encoding: .utf8)).flatMap { Int($0) } ?? 0
        }

        /// Waits for so many more answers.
        func progress(by count: Int) async throws {
            let before = answerCount
            try await eventually("\(count) more answers") {
                answerCount >= before + count
            }
        }
    }
}

/// A registered VIM and its monitor action's id.
struct WatchedVIM {
    var id: String
    var actionID: String

    /// A call that reports it reachable.
    func report(_ name: String, _ changes: JSON = [:], status: JSON = "REACHABLE") -> JSON {
        let call: JSON = [
            "name": .string(name), "method": "update_vim",
            "args": ["vim_id": .string(id), "status": status, "action_id": .string(actionID)],
        ]
        return .object(call.object.merging(changes.object) { $1 })
    }
}

extension RunningServer {
    /// Registers a VIM that answers nothing and returns it with its action's id.
    func registerWatched(_ name: String = "watched") async throws -> WatchedVIM {
        // Nobody listens at the discard port.
        let id = try await register(standInVIM(name, at: "http://127.0.0.1:9"))
        let vim = try await request(.get, "/vedette/v1/vims/\(id)").json()["vim"]
        guard let actionID = vim["action_id"].string else { throw HarnessError("no action id in \(vim)") }
        return WatchedVIM(id: id, actionID: actionID)
    }

    /// Accepted reports of REACHABLE, which the embedded monitor of such a VIM never makes.
    func reachableReportCount() async throws -> Int {
        try await auditLog().events("vim.status_reported").count {
            $0["status"].string == "REACHABLE" && $0["verdict"].string == "accepted"
        }
    }

    /// Waits until the server has connected to the broker so many times.
    func waitForBroker(times count: Int = 1) async throws {
        try await eventually("the server connects to the broker") {
            process.logText().components(separatedBy: "connected to the broker").count > count
        }
    }
}

/// Options of `vedette serve` for the tests of RPC.
func rpcOptions(_ url: String, _ more: String...) -> [String] {
    ["--rabbitmq", url, "--registration-check", "deferred"] + more
}
