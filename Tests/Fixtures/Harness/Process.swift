import Foundation
import Subprocess

/// A process that has ended.
package struct FinishedProcess: Sendable {
    /// What it exited with, or 128 and the signal's number, as a shell says it.
    package let exitCode: Int
    /// Everything it wrote to standard output.
    package let output: String
    /// Everything it wrote to standard error.
    package let errorOutput: String

    /// Standard output as lines, without an empty last one.
    package var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// A process that runs beside the test.
package struct RunningProcess: Sendable {
    /// Its number.
    package let id: Int32
    /// Where its output goes.
    package let log: String

    /// Sends a signal; says nothing if the process is gone.
    package func signal(_ number: Int32) { _ = kill(id, number) }

    /// What it has written so far.
    package func logText() -> String {
        (try? String(decoding: Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)) ?? ""
    }
}

/// Runs a program to its end and returns what it said.
///
/// One that takes longer than `limit` is killed, which shows as exit code 137.
package func run(
    _ program: String, _ arguments: [String] = [], environment: [String: String?] = [:],
    input: String = "", limit: Duration = .seconds(120)
) async throws -> FinishedProcess {
    try Programs.require(program)
    var environment = environment
    var command = ["timeout", "--signal=KILL", "\(limit.components.seconds)", program] + arguments
    // From a file: over a pipe to a process that ends before it has read, the library ends this one.
    let file = NSTemporaryDirectory() + "/vedette-input-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: file) }
    if !input.isEmpty {
        try Data(input.utf8).write(to: URL(fileURLWithPath: file))
        environment["HARNESS_INPUT"] = file
        command = ["sh", "-c", "exec \"$0\" \"$@\" <\"$HARNESS_INPUT\""] + command
    }
    let result = try await Subprocess.run(
        .name(command[0]), arguments: Arguments(Array(command.dropFirst())),
        environment: subprocessEnvironment(environment), input: .none,
        output: .string(limit: 64 << 20), error: .string(limit: 64 << 20))
    return FinishedProcess(
        exitCode: exitCode(result.terminationStatus), output: result.standardOutput,
        errorOutput: result.standardError)
}

/// Runs a program beside `body`, its output going to a file, and returns what `body` gave with the
/// program's exit code.
///
/// When `body` returns, the program is told to end with SIGTERM, and after half a minute with SIGKILL; when
/// `body` throws, with SIGKILL at once. None is ever left behind.
@discardableResult
package func withProcess<Result: Sendable>(
    _ program: String, _ arguments: [String], environment: [String: String?] = [:], log: String,
    _ body: (RunningProcess) async throws -> Result
) async throws -> (result: Result, exitCode: Int) {
    try Programs.require(program)
    // Here, not by the shell alone: one that is killed at once has not opened it yet.
    close(open(log, O_CREAT | O_WRONLY | O_CLOEXEC, 0o644))
    var environment = environment
    environment["HARNESS_LOG"] = log
    let finished = try await Subprocess.run(
        .name("sh"),
        arguments: Arguments(["-c", "exec \"$0\" \"$@\" >>\"$HARNESS_LOG\" 2>&1", program] + arguments),
        environment: subprocessEnvironment(environment), input: .none, output: .discarded, error: .discarded
    ) { execution -> Swift.Result<Result, any Error> in
        let process = RunningProcess(id: execution.processIdentifier.value, log: log)
        do {
            let result = try await body(process)
            await execution.teardown(using: [
                .send(signal: .terminate, allowedDurationToNextStep: .seconds(30))
            ])
            return .success(result)
        } catch {
            process.signal(SIGKILL)
            return .failure(error)
        }
    }
    let exitCode = exitCode(finished.terminationStatus)
    return (try finished.closureResult.get(), exitCode)
}

private func subprocessEnvironment(_ changes: [String: String?]) -> Environment {
    var updates: [Environment.Key: String?] = [:]
    for (name, value) in changes { updates[Environment.Key(stringLiteral: name)] = value }
    return .inherit.updating(updates)
}

private func exitCode(_ status: TerminationStatus) -> Int {
    switch status {
    case .exited(let code): Int(code)
    case .signaled(let signal): 128 + Int(signal)
    }
}
