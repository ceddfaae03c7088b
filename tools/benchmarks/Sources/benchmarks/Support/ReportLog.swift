import Conductor
import EventLog
import Logging
import Projections
import Registry

/// Makes a log of so many status reports of registered VIMs, chosen at random, in batches of one size.
func makeReportLog(
    in directory: String, vims: Int, events: Int, batch size: Int, seed: UInt64
) async throws -> EventLog {
    let members = try await register(vims, in: directory)
    let log = try EventLog(directory: directory, access: .write)
    var previous = members.map(\.lastPosition)
    var random = SeededGenerator(seed: seed)
    var batch = BatchBuilder(firstPosition: 1, time: 0)
    let reports = members.map { member in
        Event.vimStatusReported(
            VIMStatusReported(
                actionID: member.actionID, status: .reachable, verdict: .accepted,
                finding: ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 1_500)))
    }
    var rest = events
    while rest > 0 {
        let head = log.head
        batch.reset(
            firstPosition: head.position + 1, time: max(head.time + 1, Timestamp.benchmarkNow.microseconds))
        for _ in 0..<min(size, rest) {
            let index = Int.random(in: 0..<members.count, using: &random)
            previous[index] = reports[index].withPayload { format, payload in
                batch.append(
                    stream: members[index].stream, previousInStream: previous[index],
                    type: reports[index].type.rawValue, format: format, payload: payload)
            }
        }
        rest -= batch.eventCount
        _ = try log.append(&batch, epoch: head.epoch)
    }
    return log
}

struct Member {
    var stream: UInt32
    var actionID: MonitorActionID
    var lastPosition: UInt64
}

/// A function of its own, so that the conductor has let go of the log when it returns.
func register(_ count: Int, in directory: String) async throws -> [Member] {
    let conductor = try await Conductor(
        Conductor.Options(directory: directory), logger: Logger(label: "benchmark"))
    _ = try await Fleet(registering: count, with: conductor)
    let members = conductor.read { table in
        table.allVIMs.map { vim in
            Member(
                stream: vim.stream, actionID: vim.actionID,
                lastPosition: table.lastPosition(inStream: vim.stream))
        }
    }
    await conductor.stop()
    return members
}
