package import Encodings
import Registry

/// How a worker calls the conductor; a protocol, so that a test needs no broker.
package protocol ConductorCalls: Sendable {
    /// Calls a method of the conductor and returns its result.
    ///
    /// - Throws: ``CallFault`` if there was no answer in time, or the answer was a failure.
    func call(
        _ method: String, _ arguments: [String: JSONValue], timeout: Duration
    ) async throws(CallFault) -> JSONValue
}

/// Why a call brought no result: one sentence.
package struct CallFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence.
    package let description: String

    /// A fault.
    package init(_ description: String) { self.description = description }
}

extension ConductorCalls {
    /// `update_vim`, with why.
    func report(_ report: StatusReport, timeout: Duration) async throws(CommandFailure) -> ReportAnswer {
        let finding: JSONValue = [
            "reason": .string(report.finding.word), "detail": .integer(Int64(report.finding.detail)),
            "microseconds": .integer(Int64(report.finding.roundTripMicroseconds)),
        ]
        let result: JSONValue
        do throws(CallFault) {
            result = try await call(
                "update_vim",
                [
                    "vim_id": .string(report.id.description), "status": .string(report.status.word),
                    "action_id": .string(report.actionID.description), "finding": finding,
                ], timeout: timeout)
        } catch { throw .notStored(error.description) }
        if result == .string(ReportAnswer.badAction.word) { return .badAction }
        return .accepted(report.status)
    }
}
