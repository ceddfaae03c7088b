import Foundation
import LMDB
import Testing

@testable import EventLog

@Suite("Readers that were killed")
struct DeadReaderTests {
    @Test("A killed reader's view is freed while the writer goes on, so that pages are used again")
    func freedByAppending() throws {
        try withFreshLog { log in
            // More than a pipe holds, so that whoever dumps it waits inside its view.
            try log.append([Said(payload: [UInt8](repeating: 1, count: 1 << 20))])
            try killReader(of: log)
            #expect(try log.environment.freeDeadReaders() == 1, "nobody was killed within a view")

            try killReader(of: log)
            for _ in 0..<Limits.commitsBetweenReaderChecks { try log.append([Said()]) }
            #expect(try log.environment.freeDeadReaders() == 0)
        }
    }

    /// Kills another process that holds a view of the log.
    private func killReader(of log: EventLog) throws {
        let reader = Process()
        reader.executableURL = URL(fileURLWithPath: "/usr/bin/mdb_dump")
        reader.arguments = ["-n", "-s", "batches", log.path]
        let output = Pipe()
        reader.standardOutput = output
        try reader.run()
        // Its first bytes come from within the view; nobody reads the rest.
        #expect(output.fileHandleForReading.availableData.isEmpty == false)
        kill(reader.processIdentifier, SIGKILL)
        reader.waitUntilExit()
    }
}
