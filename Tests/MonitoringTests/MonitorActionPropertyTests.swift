import Registry
import Testing

@testable import Monitoring

@Suite("Whatever happens to a monitor action")
struct MonitorActionPropertyTests {
    /// Runs one action through random results, delays, refusals and doubts, and holds it to its promises.
    @Test("Its promises hold; a failure names the seed that replays it", arguments: 0..<300 as Range<UInt64>)
    func promises(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let failures = UInt32.random(in: 1...5, using: &random)
        let successes = UInt32.random(in: 1...3, using: &random)
        let status = [VIMStatus.pending, .reachable, .unreachable].randomElement(using: &random) ?? .pending
        var script = ActionScript(
            status: status, interval: [100, 1_000, 10_000, 120_000].randomElement(using: &random) ?? 1_000,
            failures: failures, successes: successes, phase: Double.random(in: 0..<1, using: &random))
        var world = World(told: status, failures: Int(failures), successes: Int(successes), seed: seed)
        for _ in 0..<400 {
            world.step(&script.action, &random)
            if script.action.hasEnded { break }
        }
        if script.action.hasEnded {
            #expect(script.action.beginProbe(now: .never) == false, "seed \(seed)")
            #expect(script.action.beginReport(now: .never) == nil, "seed \(seed)")
        }
    }

    private struct World {
        var told: VIMStatus
        var failures: Int
        var successes: Int
        var seed: UInt64
        var now = at(0)
        /// Conclusive results in a row, newest kind, as a naive observer counts them.
        var run = 0
        var runAnswered = false
        var best: [VIMStatus: Int] = [:]
        var lastReport: Moment?
        var lastVerdict: VIMStatus?

        mutating func step(_ action: inout MonitorAction, _ random: inout SeededGenerator) {
            let due = min(action.probeDue, action.reportDue)
            #expect(due != .never, "seed \(seed): it would never do anything again")
            now = max(now, due)
            if action.beginProbe(now: now) { probe(&action, &random) }
            let reportWasDue = action.reportDue
            guard let claim = action.beginReport(now: now) else { return }
            if let lastReport, reportWasDue < .never {
                let silence = now.microseconds(since: lastReport)
                // A report interval, and at most one probe's length that held up this loop of ours.
                #expect(silence <= 60_000_000 + 6_000_000, "seed \(seed): silent for \(silence) µs")
            }
            check(claim.status)
            answer(&action, claim, &random)
        }

        private mutating func probe(_ action: inout MonitorAction, _ random: inout SeededGenerator) {
            let began = now
            let kind = Int.random(in: 0..<10, using: &random)
            let outcome: ProbeOutcome = kind < 5 ? .answer : kind < 9 ? .failure : .nothing
            let isLate = Int.random(in: 0..<20, using: &random) == 0
            now = now.after(milliseconds: isLate ? 10_001 : Int64.random(in: 0...5_000, using: &random))
            let before = action.verdict
            let isDoubted = Int.random(in: 0..<4, using: &random) == 0
            action.probeFinished(outcome, began: began, now: now, isDoubted: isDoubted)
            if outcome.meaning == .answered || (outcome.meaning == .failed && !isLate) {
                let answered = outcome.meaning == .answered
                run = runAnswered == answered ? run + 1 : 1
                runAnswered = answered
            }
            if isLate { lastReport = nil }  // the silence was our own
            guard action.verdict != before else { return }
            #expect(runAnswered == (action.verdict == .reachable), "seed \(seed)")
            #expect(
                run >= (action.verdict == .unreachable ? failures : successes),
                "seed \(seed): \(action.verdict) after a run of \(run)")
        }

        private func check(_ status: VIMStatus) {
            #expect(status != .pending, "seed \(seed)")
        }

        private mutating func answer(
            _ action: inout MonitorAction, _ claim: MonitorAction.Claim, _ random: inout SeededGenerator
        ) {
            switch Int.random(in: 0..<40, using: &random) {
            case 0: action.reportAnswered(.badAction, now: now)
            case 1..<6:
                action.reportFailed(jitter: Double.random(in: 0..<1, using: &random), now: now)
                lastReport = nil
            default:
                action.reportAnswered(.accepted(claim.status), now: now)
                told = claim.status
                lastReport = now
                #expect(action.told == told, "seed \(seed)")
            }
        }
    }
}
