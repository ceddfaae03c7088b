// Starts: conductor-load under strace, which lets one sync or write of the writer thread fail.
import Foundation
import Harness
import Recording
import Testing

@Suite("A commit that the device or the file system fails")
struct FailedSyncTests {
    private static let wishCount = 6

    @Test(
        "After a failed sync or a failed write of the first pages nothing is written until the next start",
        arguments: [("fdatasync", 3), ("pwrite64", 15), ("pwrite64", 16)])
    func deviceFails(_ call: String, _ number: Int) async throws {
        // The writer thread's third commit: the first begins the epoch. Of each it writes three pages, two of
        // them at once in the second commit, then the roots, their record, and after the sync that anew.
        let (promises, sentences) = try await run(failing: call, with: "EIO", number: number)
        #expect((1..<FailedSyncTests.wishCount).contains(promises.count))
        // Every later wish is told so, too, though nothing fails any more.
        #expect(promises.count + sentences.count == FailedSyncTests.wishCount)
        #expect(
            sentences.allSatisfy { $0.contains("the device failed under a commit") && $0.contains("dmesg") })
    }

    @Test(
        "A commit that finds no room or a read-only file system fails alone: the next ones are stored",
        arguments: ["ENOSPC", "EDQUOT", "EROFS", "EFBIG"])
    func writeIsRefused(_ error: String) async throws {
        // A page of the writer's third commit.
        let (promises, sentences) = try await run(failing: "pwrite64", with: error, number: 13)
        #expect(promises.count + sentences.count == FailedSyncTests.wishCount)
        let words = [
            "ENOSPC": "no space", "EDQUOT": "no space", "EROFS": "read-only", "EFBIG": "ulimit -f",
        ]
        #expect(sentences.first?.contains(try #require(words[error])) == true, "\(sentences)")
    }

    /// What was promised and what was told, when one call on the data file fails; what was promised is
    /// checked.
    private func run(
        failing call: String, with error: String, number: Int
    ) async throws -> (promises: [Acknowledgement], sentences: [Substring]) {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            let made = try await Harness.run(Programs.conductorLoad, [data, "1", "1", "3"])
            try #require(made.exitCode == 0)
            let faulty = try await Harness.run(
                Programs.strace,
                [
                    "-f", "-qqq", "-o", "/dev/null", "-P", data + "/events.lmdb", "-e", "trace=\(call)", "-e",
                    "inject=\(call):error=\(error):when=\(number)", Programs.conductorLoad, data, "1", "2",
                    "\(FailedSyncTests.wishCount)",
                ])
            #expect(faulty.exitCode == 1)
            let promises = (made.lines + faulty.lines).compactMap { Acknowledgement(line: $0) }
            var witness = Witness()
            #expect(try follow(data, &witness, promises: promises) == [])
            return (Array(promises.dropFirst(3)), faulty.errorOutput.split(separator: "\n"))
        }
    }
}
