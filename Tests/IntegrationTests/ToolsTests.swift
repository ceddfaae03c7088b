// Starts: tools/run and tools/test in ways that end before they build, or with a script for Swift; a
// stand-in VIM to take a port.
import Foundation
import Harness
import Testing

@Suite("tools/run and tools/test")
struct ToolsTests {
    private let program = Programs.repository + "/tools/run"

    @Test("Its help names the demo, the data directory and the port")
    func help() async throws {
        let finished = try await run(program, ["--help"])
        #expect(finished.exitCode == 0)
        for word in ["--demo", "VEDETTE_DATA_DIRECTORY", "127.0.0.1:9890", "Ctrl-C"] {
            #expect(finished.output.contains(word), "\(word)")
        }
    }

    @Test("The help of tools/test says what --quick leaves out")
    func quick() async throws {
        let finished = try await run(Programs.repository + "/tools/test", ["--help"])
        #expect(finished.exitCode == 0)
        let line = finished.lines.first { $0.contains("tools/test --quick ") }
        #expect(line?.contains("without the Mistrals") == true, "\(finished.output)")
    }

    @Test(
        "tools/test says failures once more, with the runner's summary last, and ends as the runner did",
        arguments: [
            (["✘ Test \"A\" recorded an issue at a.swift:1:1", "↳ a is wrong", "✔ Test \"B\" passed"], true),
            (["error: Exited with unexpected signal code 11"], false),
        ])
    func failures(said: [String], isRepeated: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let summary = isRepeated ? ["✘ Test run with 2 tests failed"] : []
            let lines = ["↳ Target Platform: here"] + said + summary
            let script = """
                #!/bin/sh
                case "$1" in
                    --version) echo "Swift version 6.3" ;;
                    test) printf '%s\\n' \(lines.map { "'\($0)'" }.joined(separator: " ")); exit 7 ;;
                esac
                """
            try script.write(toFile: directory + "/swift", atomically: true, encoding: .utf8)
            #expect(try await run("/bin/chmod", ["755", directory + "/swift"]).exitCode == 0)
            let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
            let finished = try await run(
                Programs.repository + "/tools/test", ["--quick", "--filter", "nothing"],
                environment: ["PATH": "\(directory):\(path)"])
            #expect(finished.exitCode == 7, "\(finished.errorOutput)")
            let failures = isRepeated ? Array(said.prefix(2)) + summary : []
            #expect(finished.lines == lines + failures)
        }
    }

    @Test("A port that is taken is refused before anything is built, with what to do")
    func portTaken() async throws {
        try await withTemporaryDirectory { directory in
            try await withStandInVIM(directory: directory) { other in
                let address = "127.0.0.1:\(other.port)"
                let finished = try await run(
                    program, ["--data-directory", directory + "/data", "--listen", address])
                #expect(finished.exitCode == 1)
                #expect(finished.errorOutput.contains("\(address) is in use"), "\(finished.errorOutput)")
                #expect(finished.errorOutput.contains("--listen"))
            }
        }
    }

    @Test("Without Swift it says where to get it")
    func withoutSwift() async throws {
        try await withTemporaryDirectory { directory in
            // A PATH in which there is nothing else, wherever this machine keeps its Swift.
            let linked = try await run(
                "/bin/ln", ["-s", "/bin/bash", "/usr/bin/dirname", "/usr/bin/timeout", directory])
            #expect(linked.exitCode == 0)
            let finished = try await run("/bin/bash", [program], environment: ["PATH": directory])
            #expect(finished.exitCode == 1)
            #expect(finished.errorOutput.contains("swift.org"), "\(finished.errorOutput)")
        }
    }

    @Test("What it does not understand is exit code 2, and the help")
    func unknownOption() async throws {
        let finished = try await run(program, ["--bogus"])
        #expect(finished.exitCode == 2)
        #expect(finished.errorOutput.contains("--bogus") && finished.errorOutput.contains("Usage"))
    }
}
