// Starts: tools/demo/demo.py, which starts a server and three stand-in VIMs, as tools/run --demo does.
import Foundation
import Harness
import Testing

@Suite("The demo", .serialized)
struct DemoTests {
    @Test("Status changes show as they happen, and nothing stays behind")
    func demo() async throws {
        try await withTemporaryDirectory { directory in
            let script = Programs.repository + "/tools/demo/demo.py"
            let arguments = [script, "--vedette", Programs.vedette, "--cycle", "6"]
            let (pids, exitCode) = try await withProcess(
                "/usr/bin/python3", arguments, environment: ["TMPDIR": directory, "NO_COLOR": "1"],
                log: directory + ".log"
            ) { demo in
                for expected in [
                    "demo-healthy.*PENDING → REACHABLE", "demo-slow.*PENDING → REACHABLE",
                    "demo-flapping.*REACHABLE → UNREACHABLE +connection refused",
                    "demo-flapping.*UNREACHABLE → REACHABLE",
                ] {
                    try await eventually("the demo shows \(expected): \(demo.logText())") {
                        guard !isZombie(demo.id) else { throw HarnessError(demo.logText()) }
                        return demo.logText().range(of: expected, options: .regularExpression) != nil
                    }
                }
                #expect(!demo.logText().contains("\u{1B}["))
                #expect(
                    demo.logText().range(of: "demo-healthy.*UNREACHABLE", options: .regularExpression) == nil)
                let children = try await run("/usr/bin/pgrep", ["--parent", "\(demo.id)"])
                return children.lines.compactMap { Int32($0) }
            }
            defer { try? FileManager.default.removeItem(atPath: directory + ".log") }
            #expect(exitCode == 0)
            #expect(pids.count == 5)
            for pid in pids { #expect(kill(pid, 0) != 0, "process \(pid) is left behind") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
        }
    }
}
