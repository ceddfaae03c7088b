// Starts: the server and `vedette vault rotate`, kills them with SIGKILL at random moments of a rotation, and
// fills the disk under one (a tmpfs; needs root).
//
// After each kill the server must start again with the right master key, and that must open every data key.
import Foundation
import Harness
import Testing

@Suite("Rotation of the master key, disturbed", .serialized)
struct RotationFaultTests {
    static let roundCount = 16
    private let options = ["--registration-check", "deferred"]

    @Test("Killed at any moment, a rotation has happened or not: no credentials are lost")
    func kill() async throws {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? .random(in: 0...(.max))
        var random = Seeded(state: seed)
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            try await withServer(dataDirectory: data, arguments: options) { server in
                for number in 0..<100 {
                    _ = try await server.register(standInVIM("vim-\(number)", at: "http://127.0.0.1:1"))
                }
            }
            let began = ContinuousClock.now
            let whole = try await runVedette(["vault", "rotate", "--data-directory", data])
            try #require(whole.exitCode == 0, "\(whole.errorOutput)")
            let usual = Double((ContinuousClock.now - began) / .milliseconds(1))
            var outcomes: [String: Int] = [:]
            for round in 1...RotationFaultTests.roundCount {
                let before = try String(contentsOfFile: data + "/master.key", encoding: .utf8)
                let moment = Duration.milliseconds(
                    Int64(Double.random(in: 0.2...1.1, using: &random) * usual))
                if round.isMultiple(of: 2) {
                    try await killServer(data, after: moment)
                } else {
                    try await killCommand(data, after: moment, log: directory + "/rotate.log")
                }
                // The next start settles what was left; then everything opens.
                try await withServer(dataDirectory: data, arguments: options) { _ in }
                let verify = try await runVedette(["audit", "verify", "--json", "--data-directory", data])
                let found = try JSON(text: verify.output)
                try #require(
                    verify.exitCode == 0 && found["master_key_checked"] == true
                        && found["foreign_data_keys"].integer == 0 && found["data_keys"].integer == 100,
                    "SEED=\(seed), round \(round): \(verify.output)")
                #expect(!FileManager.default.fileExists(atPath: data + "/master.key.next"))
                let after = try String(contentsOfFile: data + "/master.key", encoding: .utf8)
                outcomes[before == after ? "not rotated" : "rotated", default: 0] += 1
            }
            print("RotationFaultTests: SEED=\(seed), \(outcomes)")
        }
    }

    private func killServer(_ data: String, after moment: Duration) async throws {
        try await withServer(dataDirectory: data, arguments: options) { server in
            async let rotation = server.vedette("vault", "rotate")
            try await ContinuousClock().sleep(for: moment)
            server.process.signal(SIGKILL)
            let finished = try await rotation
            #expect(finished.exitCode == 0 || finished.errorOutput.hasPrefix("vedette: "))
        }
    }

    private func killCommand(_ data: String, after moment: Duration, log: String) async throws {
        let arguments = ["vault", "rotate", "--data-directory", data]
        try await withProcess(Programs.vedette, arguments, log: log) { process in
            try await ContinuousClock().sleep(for: moment)
            process.signal(SIGKILL)
        }
    }

    @Test(
        "On a full disk nothing is rotated, and with room again it is",
        .enabled("mounting a tmpfs is not permitted here; run as root with CAP_SYS_ADMIN") {
            await canMount()
        })
    func fullDisk() async throws {
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
            try await withTmpfs(data, megabytes: 16) {
                try await withServer(dataDirectory: data, arguments: options) { server in
                    for number in 0..<50 {
                        _ = try await server.register(standInVIM("vim-\(number)", at: "http://127.0.0.1:1"))
                    }
                    let key = try String(contentsOfFile: data + "/master.key", encoding: .utf8)
                    let filler = data + "/filler"
                    // dd ends with an error when the disk is full, which is the point.
                    _ = try await run("/usr/bin/dd", ["if=/dev/zero", "of=\(filler)", "bs=4k"])
                    let refused = try await server.vedette("vault", "rotate")
                    #expect(refused.exitCode == 1)
                    #expect(refused.errorOutput.localizedCaseInsensitiveContains("no space left"))
                    #expect(try String(contentsOfFile: data + "/master.key", encoding: .utf8) == key)
                    try FileManager.default.removeItem(atPath: filler)
                    let rotated = try await server.vedette("vault", "rotate")
                    #expect(rotated.exitCode == 0, "\(rotated.errorOutput)")
                }
                let verify = try await runVedette(["audit", "verify", "--json", "--data-directory", data])
                #expect(verify.exitCode == 0, "\(verify.output)")
                #expect(try JSON(text: verify.output)["foreign_data_keys"].integer == 0)
            }
        }
    }
}
