// Starts: the server, on a log that no checkpoint shortens.
import EventLog
import Foundation
import Harness
import Testing

@Suite("A start without a checkpoint")
struct LongStartTests {
    @Test("It says how far its replay is, from the beginning to the end, before it serves")
    func progress() async throws {
        var random = Seeded(state: faultSeed())
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            _ = try await makeReportedLog(
                in: data, vims: 3, batches: 200, reportsPerBatch: 1_000, using: &random)
            let end: UInt64
            do {
                let log = try EventLog(directory: data, access: .maintain)
                try log.dropCheckpoint()
                end = log.head.position
            }
            try FileManager.default.removeItem(atPath: data + ".log")
            try await withServer(dataDirectory: data) { _ in }
            let lines = try String(contentsOfFile: data + ".log", encoding: .utf8).split(separator: "\n")
            let percents = lines.filter { $0.contains("replaying the log") }.compactMap { line in
                line.firstMatch(of: /percent=(\d+)/).flatMap { Int($0.1) }
            }
            #expect(percents.count >= 3 && percents == Array(Set(percents)).sorted(), "\(lines)")
            #expect(percents.last == 100)
            #expect(
                lines.contains { $0.contains("replaying the log") && $0.contains("end=\(end)") }, "\(lines)")
            let serving = try #require(lines.firstIndex { $0.hasSuffix("serving") })
            let last = try #require(lines.lastIndex { $0.contains("replaying the log") })
            #expect(last < serving)
        }
    }

    @Test("A short one says nothing of it")
    func short() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            for _ in 0..<2 { try await withServer(dataDirectory: data) { _ in } }
            let said = try String(contentsOfFile: data + ".log", encoding: .utf8)
            #expect(said.contains("serving") && !said.contains("replaying"), "\(said)")
        }
    }
}
