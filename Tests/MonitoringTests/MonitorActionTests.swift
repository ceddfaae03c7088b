import Registry
import Testing

@testable import Monitoring

/// Drives one action by hand; times are milliseconds from the beginning.
struct ActionScript {
    var action: MonitorAction

    init(
        status: VIMStatus = .pending, interval: UInt32 = 10_000, timeout: UInt32 = 5_000,
        report: UInt32 = 60_000, failures: UInt32 = 3, successes: UInt32 = 1, phase: Double = 0.5
    ) {
        let settings = MonitorSettings(
            intervalMilliseconds: interval, timeoutMilliseconds: timeout, failureThreshold: failures,
            successThreshold: successes)
        action = MonitorAction(
            pace: MonitorPace(settings, reportIntervalMilliseconds: report), status: status, now: at(0),
            phase: phase)
    }

    /// Probes at a time; the result comes so much later.
    mutating func probe(
        at time: Int64, _ outcome: ProbeOutcome, takes: Int64 = 1, isDoubted: Bool = false
    ) {
        #expect(action.beginProbe(now: at(time)) == true)
        action.probeFinished(outcome, began: at(time), now: at(time + takes), isDoubted: isDoubted)
    }

    /// Takes the report that must be due, and has it accepted.
    mutating func report(at time: Int64) -> VIMStatus? {
        let claim = action.beginReport(now: at(time))
        if let claim { action.reportAnswered(.accepted(claim.status), now: at(time)) }
        return claim?.status
    }
}

func at(_ milliseconds: Int64) -> Moment { Moment(microseconds: milliseconds * 1_000) }

extension ProbeOutcome {
    static let answer = ProbeOutcome(.answered, ProbeFinding(.answered, detail: 200))
    static let failure = ProbeOutcome(.failed, ProbeFinding(.connectionRefused, detail: 111))
    static let nothing = ProbeOutcome(.inconclusive, ProbeFinding(.proberFailed))
}

@Suite("A monitor action")
struct MonitorActionTests {
    @Test("A fresh action probes at once, and its first answer is reported at once")
    func fresh() {
        var script = ActionScript()
        #expect(script.action.probeDue == at(0))
        #expect(script.action.reportDue == .never)
        #expect(script.action.beginReport(now: at(0)) == nil)
        script.probe(at: 0, .answer)
        #expect(script.action.reportDue == at(1))
        let claim = script.action.beginReport(now: at(1))
        #expect(claim?.status == .reachable)
        #expect(claim?.finding.detail == 200)
    }

    @Test("A fresh action whose endpoint is dead says so after the threshold, within seconds")
    func freshDead() {
        var script = ActionScript()
        script.probe(at: 0, .failure)
        #expect(script.action.probeDue == at(1_000))
        script.probe(at: 1_000, .failure)
        #expect(script.report(at: 1_500) == nil)
        script.probe(at: 2_000, .failure)
        #expect(script.report(at: 2_001) == .unreachable)
    }

    @Test("One lost packet raises no alarm and is asked again within a second")
    func oneFailure() {
        var script = ActionScript()
        script.probe(at: 0, .answer)
        #expect(script.report(at: 1) == .reachable)
        let next = script.action.probeDue.microseconds / 1_000
        script.probe(at: next, .failure)
        #expect(script.action.probeDue == at(next + 1_000))
        script.probe(at: next + 1_000, .answer)
        #expect(script.action.verdict == .reachable)
        #expect(script.report(at: next + 1_001) == nil)
    }

    @Test("Failures count only in a row")
    func inARow() {
        var script = ActionScript(status: .reachable)
        var time: Int64 = 10_000
        for outcome in [ProbeOutcome.failure, .failure, .answer, .failure, .failure, .answer] {
            script.probe(at: time, outcome)
            time += 10_000
        }
        #expect(script.action.verdict == .reachable)
    }

    @Test("An unreachable VIM comes back after the success threshold")
    func successThreshold() {
        var script = ActionScript(status: .unreachable, successes: 2)
        script.probe(at: 10_000, .answer)
        #expect(script.action.verdict == .unreachable)
        #expect(script.action.probeDue == at(11_000))
        script.probe(at: 11_000, .answer)
        #expect(script.report(at: 11_001) == .reachable)
    }

    @Test("While nothing changes it reports once an interval, with the newest agreeing finding")
    func heartbeat() {
        var script = ActionScript()
        script.probe(at: 0, .answer)
        #expect(script.report(at: 1) == .reachable)
        var last: Int64 = 1
        for _ in 0..<5 {
            let due = script.action.reportDue.microseconds / 1_000
            #expect(due - last <= 60_000)
            #expect(script.report(at: due - 1) == nil)
            #expect(script.report(at: due) == .reachable)
            last = due
        }
    }

    @Test("A resumed action starts from the status believed: no alarm by a restart, and a report in a minute")
    func resumed() {
        for status in [VIMStatus.reachable, .unreachable] {
            for phase in [0, 0.3, 0.999] {
                var script = ActionScript(status: status, phase: phase)
                #expect(script.report(at: 0) == nil)
                let probeDue = script.action.probeDue.microseconds / 1_000
                #expect((0...10_000).contains(probeDue))
                script.probe(at: probeDue, status == .reachable ? .answer : .failure)
                #expect(script.report(at: probeDue + 1) == nil)
                #expect(script.action.reportDue <= at(60_000))
            }
        }
    }

    @Test("After bad_action it does nothing any more")
    func badAction() {
        var script = ActionScript()
        script.probe(at: 0, .answer)
        #expect(script.action.beginReport(now: at(1)) != nil)
        script.action.reportAnswered(.badAction, now: at(2))
        #expect(script.action.hasEnded)
        script.action.adjust(to: script.action.pace, now: at(3), phase: 0)
        script.action.hastenProbe(now: at(3))
        #expect(script.action.beginProbe(now: at(1_000_000)) == false)
        #expect(script.action.beginReport(now: at(1_000_000)) == nil)
    }

    @Test("While the conductor cannot be reached it probes on, waits longer each time, and tells the newest")
    func conductorUnreachable() {
        var script = ActionScript(failures: 1)
        script.probe(at: 0, .answer)
        #expect(script.action.beginReport(now: at(1))?.status == .reachable)
        script.action.reportFailed(jitter: 1, now: at(1))
        #expect(script.action.reportDue == at(1_001))
        let next = script.action.probeDue.microseconds / 1_000
        script.probe(at: next, .failure)
        // The news waits for the retry instead of hitting a conductor in trouble.
        #expect(script.action.reportDue == at(1_001))
        var waits: [Int64] = []
        var time = next + 1
        for _ in 0..<8 {
            #expect(script.action.beginReport(now: at(time))?.status == .unreachable)
            script.action.reportFailed(jitter: 1, now: at(time))
            waits.append(script.action.reportDue.microseconds / 1_000 - time)
            time = script.action.reportDue.microseconds / 1_000
        }
        #expect(waits == [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000])
        #expect(script.report(at: time) == .unreachable)
    }

    @Test("Jitter halves a wait at most")
    func jitter() {
        var script = ActionScript()
        script.probe(at: 0, .answer)
        _ = script.action.beginReport(now: at(1))
        script.action.reportFailed(jitter: 0, now: at(1))
        #expect(script.action.reportDue == at(501))
    }

    @Test("What changes while a report is on its way is told right after it")
    func changeDuringReport() {
        var script = ActionScript(failures: 1)
        script.probe(at: 0, .answer)
        #expect(script.action.beginReport(now: at(1))?.status == .reachable)
        let next = script.action.probeDue.microseconds / 1_000
        script.probe(at: next, .failure)
        #expect(script.action.beginReport(now: at(next + 1)) == nil)
        script.action.reportAnswered(.accepted(.reachable), now: at(next + 2))
        #expect(script.report(at: next + 2) == .unreachable)
    }

    @Test("A failure noticed later than twice the timeout proves nothing: this machine slept")
    func late() {
        var script = ActionScript(status: .reachable, failures: 1)
        script.probe(at: 10_000, .failure, takes: 10_001)
        #expect(script.action.verdict == .reachable)
        #expect(script.action.probeDue == at(20_001))
        script.probe(at: 20_001, .failure, takes: 10_000)
        #expect(script.action.verdict == .unreachable)
    }

    @Test("An answer counts however late it is noticed")
    func lateAnswer() {
        var script = ActionScript()
        script.probe(at: 0, .answer, takes: 3_600_000)
        #expect(script.action.verdict == .reachable)
    }

    @Test("Own trouble counts neither way and is asked again soon")
    func inconclusive() {
        var script = ActionScript(status: .reachable)
        script.probe(at: 10_000, .failure)
        script.probe(at: 11_000, .failure)
        script.probe(at: 12_000, .nothing)
        #expect(script.action.verdict == .reachable)
        #expect(script.action.probeDue == at(13_000))
        script.probe(at: 13_000, .failure)
        #expect(script.action.verdict == .unreachable)
    }

    @Test("A doubted verdict is held back, and told after a minute at most")
    func held() {
        var script = ActionScript(status: .reachable, failures: 1)
        var time: Int64 = 10_000
        script.probe(at: time, .failure, isDoubted: true)
        #expect(script.action.isHeld)
        while script.action.verdict == .reachable {
            time = script.action.probeDue.microseconds / 1_000
            script.probe(at: time, .failure, isDoubted: true)
        }
        #expect((70_000...71_100).contains(time))
        #expect(!script.action.isHeld)
        #expect(script.report(at: time + 1) == .unreachable)
    }

    @Test("A held verdict is forgotten when the endpoint answers, and told when the doubt is over")
    func heldThenProven() {
        var script = ActionScript(status: .reachable, failures: 2)
        script.probe(at: 10_000, .failure, isDoubted: true)
        script.probe(at: 11_000, .failure, isDoubted: true)
        #expect(script.action.isHeld)
        var other = script
        script.probe(at: 12_000, .answer)
        #expect(script.action.verdict == .reachable)
        #expect(!script.action.isHeld)
        other.probe(at: 12_000, .failure, isDoubted: false)
        #expect(other.action.verdict == .unreachable)
    }

    @Test("An adjusted action keeps its verdict, counts afresh and probes soon")
    func adjusted() {
        var script = ActionScript(status: .reachable)
        script.probe(at: 10_000, .failure)
        script.probe(at: 11_000, .failure)
        let settings = MonitorSettings(intervalMilliseconds: 500, failureThreshold: 2)
        script.action.adjust(
            to: MonitorPace(settings, reportIntervalMilliseconds: 60_000), now: at(11_500), phase: 0)
        #expect(script.action.verdict == .reachable)
        #expect(script.action.probeDue == at(11_500))
        script.probe(at: 11_500, .failure)
        #expect(script.action.verdict == .reachable)
        #expect(script.action.probeDue == at(12_000))
        script.probe(at: 12_000, .failure)
        #expect(script.action.verdict == .unreachable)
    }

    @Test("Probes that take longer than the interval follow each other without pause and without overlap")
    func slowProbes() {
        var script = ActionScript(status: .reachable, interval: 1_000, timeout: 5_000, phase: 0)
        script.probe(at: 0, .answer, takes: 3_500)
        #expect(script.action.probeDue == at(4_000))
        #expect(script.action.beginProbe(now: at(4_000)) == true)
        #expect(script.action.beginProbe(now: at(5_000)) == false)
    }

    @Test("Settings out of range are moved to the nearest that is allowed")
    func clamped() {
        let pace = MonitorPace(
            MonitorSettings(
                intervalMilliseconds: 1, timeoutMilliseconds: 9_000_000, failureThreshold: 0,
                successThreshold: 1_000),
            reportIntervalMilliseconds: 0)
        #expect(pace.intervalMilliseconds == 100)
        #expect(pace.timeoutMilliseconds == 300_000)
        #expect(pace.failureThreshold == 1)
        #expect(pace.successThreshold == 100)
        #expect(pace.reportIntervalMilliseconds == 1)
        #expect(pace.retryMilliseconds == 100)
    }

    @Test(
        "Settings say what is wrong with them",
        arguments: [
            (MonitorSettings(), nil),
            (MonitorSettings(intervalMilliseconds: 100, timeoutMilliseconds: 10, failureThreshold: 1), nil),
            (
                MonitorSettings(intervalMilliseconds: 99),
                "interval must be between 100 and 86400000 milliseconds, not 99"
            ),
            (
                MonitorSettings(timeoutMilliseconds: 300_001),
                "timeout must be between 10 and 300000 milliseconds, not 300001"
            ),
            (MonitorSettings(failureThreshold: 0), "failure_threshold must be between 1 and 100, not 0"),
            (MonitorSettings(successThreshold: 101), "success_threshold must be between 1 and 100, not 101"),
        ])
    func faults(settings: MonitorSettings, fault: String?) { #expect(settings.fault == fault) }
}
