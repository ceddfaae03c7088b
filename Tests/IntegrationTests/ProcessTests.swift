// Starts: sleep, and kills it at once.
import Foundation
import Harness
import Testing

@Suite("The processes of the tests")
struct ProcessTests {
    @Test("A program that is killed at once has said nothing, in a file that is there")
    func killedAtOnce() async throws {
        try await withTemporaryDirectory { directory in
            for round in 0..<20 {
                let log = directory + "/log-\(round)"
                let (_, exitCode) = try await withProcess("/bin/sleep", ["60"], log: log) {
                    $0.signal(SIGKILL)
                }
                #expect(exitCode == 137)
                #expect(try String(contentsOfFile: log, encoding: .utf8) == "")
            }
        }
    }
}
