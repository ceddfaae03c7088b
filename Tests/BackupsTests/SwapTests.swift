import Backups
import EventLog
import Foundation
import Samples
import Testing

@Suite("The swap of a restored log")
struct SwapTests {
    /// What a restore does between staging and its end, step by step, as `RestoredLog` does it.
    private static let steps: [(String, String)] = [
        ("restore.staged", "restore.ready"),
        ("events.lmdb", "restore.ready/replaced/events.lmdb"),
        ("events.lmdb-lock", "restore.ready/replaced/events.lmdb-lock"),
        ("archive", "restore.ready/replaced/archive"),
        ("restore.ready/archive", "archive"),
        ("restore.ready/events.lmdb", "events.lmdb"),
        ("restore.ready/replaced", "replaced-by-test"),
    ]

    @Test("Stopped after any step, the next start finishes it or undoes it", arguments: 0...7)
    func stopped(after stepCount: Int) async throws {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory, names: ["old-1", "old-2"])
            let restored = try await makeLog(in: directory + "/new", names: ["new-1", "new-2", "new-3"])
            try stage(restored, in: data)
            for (from, to) in SwapTests.steps.prefix(stepCount) {
                if to.hasPrefix("restore.ready/replaced") {
                    try? FileManager.default.createDirectory(
                        atPath: data + "/restore.ready/replaced", withIntermediateDirectories: false)
                }
                try FileManager.default.moveItem(atPath: data + "/" + from, toPath: data + "/" + to)
            }
            let isDecided = stepCount > 0
            if isDecided {
                // Whoever only reads does not take half of it for the whole.
                let fault = #expect(throws: EventLogError.self) {
                    try EventLog(directory: data, access: .read)
                }
                #expect(fault?.sentence.contains("not in its place yet") == true)
                try? FileManager.default.removeItem(atPath: data + "/master.key")
                try FileManager.default.copyItem(
                    atPath: restored + "/master.key", toPath: data + "/master.key")
            }
            let wanted = isDecided ? ["new-1", "new-2", "new-3"] : ["old-1", "old-2"]
            #expect(try await names(in: data) == wanted)
            let left = try FileManager.default.contentsOfDirectory(atPath: data)
            #expect(!left.contains { $0.hasPrefix("restore.") }, "\(left)")
            #expect(left.contains { $0.hasPrefix("replaced-") } == isDecided)
            if let kept = left.first(where: { $0.hasPrefix("replaced-") }) {
                #expect(try files(below: data + "/" + kept).keys.contains("events.lmdb"))
            }
        }
    }

    /// As a restore leaves it when all is verified.
    private func stage(_ restored: String, in data: String) throws {
        let staged = data + "/restore.staged"
        try FileManager.default.createDirectory(atPath: staged, withIntermediateDirectories: false)
        // A restore removes its lock files, unless that fails.
        for name in ["events.lmdb", "archive", "writer.lock", "events.lmdb-lock"] {
            try FileManager.default.copyItem(atPath: restored + "/" + name, toPath: staged + "/" + name)
        }
    }
}
