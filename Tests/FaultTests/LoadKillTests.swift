// Starts: conductor-load, a program with a conductor inside, kills it with SIGKILL under load, starts it
// again: 60 times, or KILLS. Its callers also report, under right and under stale action ids, as monitor
// actions do.
//
// Each answer names the position of its event: after every kill the event at that position must make the VIM
// what was answered, and the answers to one caller must ascend.
import Foundation
import Harness
import Recording
import Testing

@Suite("A conductor inside another program, killed at any moment", .serialized)
struct LoadKillTests {
    @Test("Every answer that left the process is in the log, at its position, under its seal")
    func kill() async throws {
        let seed = faultSeed()
        var random = Seeded(state: seed)
        var witness = Witness()
        var promiseCount = 0
        var staleCount = 0
        let killCount = amount("KILLS", 60)
        try await withTemporaryDirectory { directory in
            let data = directory + "/data"
            for round in 1...killCount {
                let place: Comment = "SEED=\(seed), kill \(round)"
                let output = directory + "/answers-\(round)"
                let moment = Duration.milliseconds(Int64.random(in: 5...200, using: &random))
                let arguments = [data, "16", "\(random.next())", "0"]
                let (_, exitCode) = try await withProcess(Programs.conductorLoad, arguments, log: output) {
                    process in
                    // The first answer shows that it has started; one that is killed before it has says
                    // nothing.
                    if !round.isMultiple(of: 5) {
                        try await eventually("the first answer", every: .milliseconds(5)) {
                            !process.logText().isEmpty
                        }
                    }
                    try await ContinuousClock().sleep(for: moment)
                    process.signal(SIGKILL)
                }
                #expect(exitCode == 137, place)
                let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
                let promises = lines.compactMap { Acknowledgement(line: $0) }
                // Nothing failed, and nobody was answered wrongly.
                #expect(promises.count == lines.count, "\(place) \(lines.first ?? "")")
                promiseCount += promises.count
                try #require(FileManager.default.fileExists(atPath: data + "/events.lmdb") || promises == [])
                guard FileManager.default.fileExists(atPath: data + "/events.lmdb") else { continue }
                try #require(try follow(data, &witness, promises: promises) == [], place)
                let stale = witness.staleActions
                witness.staleActions = []
                staleCount += stale.count
                try #require(try await wrongAnswers(to: stale, in: data) == [], place)
            }
            let verify = try await runVedette(["audit", "verify", "--data-directory", data])
            #expect(verify.exitCode == 0, "SEED=\(seed) \(verify.output) \(verify.errorOutput)")
        }
        print("LoadKillTests: \(killCount) kills, \(promiseCount) answers, \(staleCount) stale, SEED=\(seed)")
        #expect(promiseCount > killCount * 10 && staleCount > killCount)
    }
}
