import Foundation

/// A program beside the test that may be killed and started again (Tests/Fixtures/processes/run_again).
package struct RestartableProgram: Sendable {
    fileprivate let path: String
    fileprivate let arguments: [String]
    fileprivate let pidFile: String
    fileprivate let startFile: String
    /// Where its output goes.
    package let log: String

    /// - Parameters:
    ///   - files: the beginning of the names of two files that steer it.
    ///   - place: where it runs.
    package init(
        _ path: String, _ arguments: [String], files: String, log: String, at place: Place = .loopback
    ) {
        (self.path, self.arguments) = place.command(path, arguments)
        pidFile = files + ".pid"
        startFile = files + ".start"
        self.log = log
    }

    /// The program's process, which leads a group of its own; nil while it does not run.
    package var processID: Int32? {
        (try? String(contentsOfFile: pidFile, encoding: .utf8))
            .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// Sends a signal to its first process.
    package func signal(_ number: Int32) throws { _ = kill(try requireID(), number) }

    /// Lets it stand still, and returns when each of its threads does: on a busy machine they go on for a
    /// while after the signal was sent.
    package func freeze() throws {
        let id = try requireID()
        _ = kill(id, SIGSTOP)
        for _ in 0..<10_000 {
            if RestartableProgram.standsStill(id) { return }
            usleep(1_000)
        }
        throw HarnessError("\(path) goes on after SIGSTOP")
    }

    /// Whether each thread of a process is stopped (`/proc/PID/task/TID/stat`, proc(5)).
    private static func standsStill(_ id: Int32) -> Bool {
        let tasks = "/proc/\(id)/task"
        guard let threads = try? FileManager.default.contentsOfDirectory(atPath: tasks) else { return false }
        return threads.allSatisfy { thread in
            let facts = try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8)
            // The state follows the name, which may have anything in it.
            return facts?.split(separator: ")").last?.hasPrefix(" T") == true
        }
    }

    /// Kills it with all its children, as a power cut would, and waits until it is gone.
    package func kill9() async throws {
        let id = try requireID()
        _ = kill(-id, SIGKILL)
        try await eventually("\(path) ends") { processID == nil && kill(-id, 0) != 0 }
    }

    /// Starts it again after it has ended.
    package func startAgain() throws { try Data().write(to: URL(fileURLWithPath: startFile)) }

    /// What it has written so far.
    package func logText() -> String {
        (try? String(decoding: Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)) ?? ""
    }

    private func requireID() throws -> Int32 {
        guard let id = processID else { throw HarnessError("\(path) does not run") }
        return id
    }
}

/// Runs a program beside `body`, and stops it afterwards, whatever happened.
@discardableResult
package func withProgram<Result: Sendable>(
    _ program: RestartableProgram, environment: [String: String?] = [:],
    _ body: () async throws -> Result
) async throws -> Result {
    try Programs.require(program.path, "/usr/bin/setpriv", "/usr/bin/setsid")
    return try await withProcess(
        Programs.repository + "/Tests/Fixtures/processes/run_again",
        [program.pidFile, program.startFile, program.path] + program.arguments,
        environment: environment, log: program.log
    ) { _ in
        try await body()
    }.result
}
