// Starts: RabbitMQ, the server, unmodified oslo.messaging clients; strace, which makes the disk slow.
import Foundation
import Harness
import Testing

@Suite("Calls whose clients want signs of life")
struct CallMonitorTests {
    /// So long every sync takes: more than three times what a client waits for a sign of life.
    private static let sync = Duration.seconds(13)

    @Test(
        "While the disk is slow the server says that it lives, and calls are answered long after their time")
    func slowDisk() async throws {
        try await withTemporaryDirectory { directory in
            try await withBroker(directory: directory) { broker in
                try await withServer(
                    dataDirectory: directory + "/data", arguments: rpcOptions(broker.url)
                ) { server in
                    try await server.waitForBroker()
                    let vim = try await server.registerWatched()
                    for oslo in Oslo.allCases {
                        try await withSlowDisk(of: server, log: directory + "/strace-\(oslo).log") {
                            try await calls(oslo, vim, at: broker.url, in: directory)
                        }
                    }
                    // Of each client both calls were reports, whether or not anybody waited for the answer.
                    try await eventually("all reports are stored") {
                        try await server.reachableReportCount() == 2 * Oslo.allCases.count
                    }
                }
            }
        }
    }

    private func calls(_ oslo: Oslo, _ vim: WatchedVIM, at url: String, in directory: String) async throws {
        let answers = try await oslo.calls(
            [
                vim.report("monitored", ["prepare": ["timeout": 120, "call_monitor_timeout": 4]]),
                // Below two seconds nobody sends any, nor does a server of theirs: this call shows that the
                // other one would have been given up.
                vim.report("unheard", ["prepare": ["timeout": 120, "call_monitor_timeout": 1]]),
            ], at: url, in: directory)
        let (monitored, unheard) = (answers["monitored"], answers["unheard"])
        #expect(monitored["result"].string == "REACHABLE", "\(oslo): \(answers)")
        // The answer took a sync, and the client would have waited four seconds for the next one.
        #expect(monitored["signs_of_life"].integer ?? 0 >= 3, "\(oslo): \(answers)")
        #expect(unheard["error"].string == "MessagingTimeout", "\(oslo): \(answers)")
        #expect(unheard["signs_of_life"].integer == 0, "\(oslo): \(answers)")
    }

    private func withSlowDisk(
        of server: RunningServer, log: String, _ body: () async throws -> Void
    ) async throws {
        let delay = CallMonitorTests.sync.components.seconds * 1_000_000
        try await withProcess(
            Programs.strace,
            [
                "-f", "-o", "/dev/null", "-p", "\(server.process.id)", "-e", "trace=fdatasync", "-e",
                "inject=fdatasync:delay_enter=\(delay)",
            ], log: log
        ) { strace in
            try await eventually("strace holds the server") { strace.logText().contains("attached") }
            try await body()
        }
    }
}
