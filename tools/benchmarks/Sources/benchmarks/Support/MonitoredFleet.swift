import EventLog
import Foundation
import Registry

/// VIMs that report once a minute, as monitor actions do, in a time of their own.
///
/// Each VIM has its place within the minute, which it keeps: the scheduler counts from one probe's start to
/// the next. A report comes later than that by the probe's round trip (log-normal around the VIM's own median
/// of 0.5 to 20 ms; one in 200 takes ten times as long) and by what the machine needs to get round to it
/// (exponential, 0.3 ms on the average). One report in 10,000 says UNREACHABLE. What comes while a commit is
/// under way (2 ms) shares the next batch.
struct MonitoredFleet {
    private struct Due {
        var time: UInt64
        var member: Int
        var roundTrip: UInt32
        var isReachable: Bool
    }

    private static let minute = 60_000_000.0
    private static let commitMicroseconds: UInt64 = 2_000

    private var members: [Member]
    private let phases: [Double]
    private let medians: [Double]
    private var random: SeededGenerator
    private var minuteStart: Double

    init(members: [Member], after time: UInt64, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        self.members = members
        phases = members.map { _ in Double.random(in: 0..<MonitoredFleet.minute, using: &random) }
        medians = members.map { _ in 500 * pow(40, Double.random(in: 0..<1, using: &random)) }
        self.random = random
        minuteStart = Double(time) + MonitoredFleet.minute
    }

    /// Appends everything that is reported in so many minutes.
    mutating func report(minutes: Int, to log: EventLog) throws {
        var batch = BatchBuilder(firstPosition: 1, time: 0)
        var free: UInt64 = 0
        for _ in 0..<minutes {
            var reports = members.indices.map { due($0) }
            minuteStart += MonitoredFleet.minute
            reports.sort { $0.time < $1.time }
            var next = 0
            while next < reports.count {
                let head = log.head
                let begin = max(reports[next].time, free, head.time + 1)
                batch.reset(firstPosition: head.position + 1, time: begin)
                while next < reports.count, reports[next].time <= begin {
                    add(reports[next], to: &batch)
                    next += 1
                }
                _ = try log.append(&batch, epoch: head.epoch)
                free = begin + MonitoredFleet.commitMicroseconds
            }
        }
    }

    private mutating func due(_ member: Int) -> Due {
        let normal =
            (-2 * log(Double.random(in: .leastNonzeroMagnitude..<1, using: &random))).squareRoot()
            * cos(2 * .pi * Double.random(in: 0..<1, using: &random))
        let slow = Int.random(in: 0..<200, using: &random) == 0 ? 10.0 : 1.0
        let roundTrip = medians[member] * exp(0.25 * normal) * slow
        let delay = -300 * log(Double.random(in: .leastNonzeroMagnitude..<1, using: &random))
        return Due(
            time: UInt64(minuteStart + phases[member] + roundTrip + delay), member: member,
            roundTrip: UInt32(roundTrip), isReachable: Int.random(in: 0..<10_000, using: &random) > 0)
    }

    private mutating func add(_ due: Due, to batch: inout BatchBuilder) {
        let event = Event.vimStatusReported(
            VIMStatusReported(
                actionID: members[due.member].actionID, status: due.isReachable ? .reachable : .unreachable,
                verdict: .accepted,
                finding: due.isReachable
                    ? ProbeFinding(.answered, detail: 200, roundTripMicroseconds: due.roundTrip)
                    : ProbeFinding(.timedOut, roundTripMicroseconds: 5_000_000)))
        let previous = members[due.member].lastPosition
        members[due.member].lastPosition = event.withPayload { format, payload in
            batch.append(
                stream: members[due.member].stream, previousInStream: previous, type: event.type.rawValue,
                format: format, payload: payload)
        }
    }
}
