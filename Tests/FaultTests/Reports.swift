import EventLog
import Harness
import Projections
import Registry

/// Makes a data directory with a real server, then appends status reports of its VIMs to the log, which no
/// checkpoint knows.
///
/// - Returns: the ids of the VIMs.
func makeReportedLog(
    in data: String, vims: Int, batches: Int, reportsPerBatch: Int, using random: inout Seeded
) async throws -> [String] {
    var ids: [String] = []
    try await withServer(dataDirectory: data, arguments: ["--registration-check", "deferred"]) { server in
        var made: [String] = []
        for number in 0..<vims {
            made.append(try await server.register(standInVIM("site-\(number)", at: "http://127.0.0.1:1")))
        }
        return made
    }.result.forEach { ids.append($0) }
    let log = try EventLog(directory: data, access: .write)
    var table = try Replay(of: log).table
    var batch = BatchBuilder(firstPosition: 1, time: 0)
    for _ in 0..<batches {
        batch.reset(firstPosition: log.head.position + 1, time: log.head.time + 1_000)
        for _ in 0..<reportsPerBatch {
            let stream = UInt32.random(in: 1...UInt32(vims), using: &random)
            guard let vim = table.vim(ofStream: stream) else { continue }
            let report = VIMStatusReported(
                actionID: vim.actionID, status: .reachable, verdict: .accepted,
                finding: ProbeFinding(
                    .answered, detail: 200, roundTripMicroseconds: .random(in: 1...9_999, using: &random)))
            let position = log.head.position + UInt64(batch.eventCount) + 1
            Event.vimStatusReported(report).withPayload { format, payload in
                _ = batch.append(
                    stream: stream, previousInStream: table.lastPosition(inStream: stream),
                    type: EventType.vimStatusReported.rawValue, format: format, payload: payload)
            }
            try table.apply(
                report, stream: stream, position: position,
                time: Timestamp(microseconds: log.head.time + 1_000))
        }
        _ = try log.append(&batch, epoch: log.head.epoch)
    }
    return ids
}
