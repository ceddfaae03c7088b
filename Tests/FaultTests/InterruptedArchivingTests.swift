// Starts: `vedette archive` and the server; interrupts the command (SIGINT) or stops the server (SIGTERM) in
// the midst of archiving and of dropping.
//
// Whatever was interrupted: the log verifies, a server goes on serving, and the same wish asked again is
// done.
import EventLog
import Foundation
import Harness
import Registry
import Testing

@Suite("Archiving and dropping, interrupted", .serialized)
struct InterruptedArchivingTests {
    /// What is interrupted.
    enum Wish: String, CaseIterable, CustomTestStringConvertible {
        case archive, drop

        var testDescription: String { rawValue }
        var arguments: [String] {
            self == .archive ? ["archive", "--before", "0s"] : ["archive", "--drop-before", "0s", "--yes"]
        }
    }

    private let options = ["--registration-check", "deferred"]
    private static let roundCount = 3

    @Test("A command that works without a server, interrupted, leaves a whole log", arguments: Wish.allCases)
    func alone(_ wish: Wish) async throws {
        try await withLog(for: wish) { data, usual in
            for round in 1...InterruptedArchivingTests.roundCount {
                try await interrupt(wish, data, after: usual * round / 4)
                try await expectDone(["audit", "verify"], data)
            }
            try await expectDone(wish.arguments, data)
            try await expectWhole(data, after: wish)
        }
    }

    @Test("A server goes on when the command that asked it is interrupted", arguments: Wish.allCases)
    func asking(_ wish: Wish) async throws {
        try await withLog(for: wish) { data, usual in
            try await withServer(dataDirectory: data, arguments: options) { server in
                for round in 1...InterruptedArchivingTests.roundCount {
                    try await interrupt(wish, data, after: usual * round / 4)
                    _ = try await server.register(standInVIM("round-\(round)", at: "http://127.0.0.1:1"))
                    try await expectDone(["audit", "verify"], data)
                }
                // As soon as the server has noticed that nobody waits for it.
                try await eventually("the archiving that nobody waits for ends") {
                    let again = try await runVedette(wish.arguments + ["--data-directory", data])
                    try #require(
                        again.exitCode == 0 || again.errorOutput.contains("another archiving is under way"),
                        "\(again.errorOutput)")
                    return again.exitCode == 0
                }
            }
            try await expectWhole(data, after: wish)
        }
    }

    @Test(
        "A server that is stopped meanwhile ends in time, and the command says so", arguments: Wish.allCases)
    func stopping(_ wish: Wish) async throws {
        try await withLog(for: wish) { data, usual in
            for round in 1...InterruptedArchivingTests.roundCount {
                let log = data + ".command.log"
                try? FileManager.default.removeItem(atPath: log)
                let (_, exitCode) = try await withServer(dataDirectory: data, arguments: options) { server in
                    // Ends when the server does.
                    async let command = run(
                        Programs.vedette, wish.arguments + ["--data-directory", data], limit: .seconds(60))
                    try await ContinuousClock().sleep(for: usual * round / 4)
                    server.process.signal(SIGTERM)
                    let done = try await command
                    let isTold =
                        done.errorOutput.hasPrefix("vedette: ")
                        && done.errorOutput.split(separator: "\n").count == 1
                    #expect(
                        done.exitCode == 0 || (done.exitCode == 1 && isTold),
                        "round \(round): \(done.exitCode) \(done.errorOutput)")
                }
                #expect(exitCode == 0, "round \(round): \(exitCode)")
                try await expectDone(["audit", "verify"], data)
            }
            try await expectDone(wish.arguments, data)
            try await expectWhole(data, after: wish)
        }
    }

    /// A log that takes its time to archive, archived already if it is to be dropped, and how long the wish
    /// usually takes without a server.
    private func withLog(
        for wish: Wish, _ body: (_ data: String, _ usual: Duration) async throws -> Void
    ) async throws {
        var random = Seeded(state: faultSeed())
        try await withTemporaryDirectory { directory in
            let (data, other) = (directory + "/data", directory + "/other")
            _ = try await makeReportedLog(
                in: data, vims: 20, batches: 100, reportsPerBatch: 1_000, using: &random)
            if wish == .drop { try await expectDone(Wish.archive.arguments, data) }
            try FileManager.default.copyItem(atPath: data, toPath: other)
            let began = ContinuousClock.now
            try await expectDone(wish.arguments, other)
            try await body(data, ContinuousClock.now - began)
        }
    }

    private func interrupt(_ wish: Wish, _ data: String, after moment: Duration) async throws {
        try await withProcess(
            Programs.vedette, wish.arguments + ["--data-directory", data], log: data + ".command.log"
        ) { process in
            try await ContinuousClock().sleep(for: moment)
            process.signal(SIGINT)
        }
    }

    private func expectDone(_ arguments: [String], _ data: String) async throws {
        let done = try await runVedette(arguments + ["--data-directory", data])
        try #require(done.exitCode == 0, "\(arguments): \(done.exitCode) \(done.output) \(done.errorOutput)")
    }

    /// The wish was done in the end, nothing else is left, and the log is what it should be.
    private func expectWhole(_ data: String, after wish: Wish) async throws {
        for command in [["audit", "verify"], ["rebuild", "--check"]] { try await expectDone(command, data) }
        try await withServer(dataDirectory: data, arguments: options) { _ in }
        let log = try EventLog(directory: data, access: .read)
        #expect(try (wish == .archive ? log.archivedEnd() : log.droppedPart()?.lastPosition ?? 0) > 100_000)
        let files = try FileManager.default.contentsOfDirectory(atPath: log.archiveDirectory)
        #expect(Set(files) == Set(try log.archivedSegments().map(\.fileName)))
    }
}
