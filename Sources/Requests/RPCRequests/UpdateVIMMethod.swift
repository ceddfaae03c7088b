import Encodings
import OsloMessaging
import Projections
import Registry

/// `update_vim(vim_id, status, action_id)`: the status, or `bad_action` when the action must exit.
///
/// Since 1.1 also `finding`, which says why: `{"reason": "timed_out", "detail": 4, "microseconds": 5000000}`.
struct UpdateVIMMethod: RPCMethod {
    let submitter: any CommandSubmitter
    let reader: any RegistryReader
    let acceptsReportsWithoutAction: Bool

    let name = "update_vim"
    private static let argumentNames: Set = ["vim_id", "status", "action_id", "finding"]

    func call(
        _ arguments: [String: JSONValue],
        reply: @escaping @Sendable (Result<JSONValue, RPCFailure>) -> Void
    ) {
        do throws(RPCFailure) { try submit(Arguments(name, arguments), reply: reply) } catch {
            reply(.failure(error))
        }
    }

    private func submit(
        _ arguments: Arguments, reply: @escaping @Sendable (Result<JSONValue, RPCFailure>) -> Void
    ) throws(RPCFailure) {
        try arguments.allow(UpdateVIMMethod.argumentNames)
        let id = VIMID(try arguments.text("vim_id"))
        let word = try arguments.text("status")
        guard let status = VIMStatus(reportedWord: word) else {
            throw .badValue(Refusal.unknownStatus(String(word.prefix(80))).sentence)
        }
        let finding = try arguments.finding("finding")
        guard arguments.has("action_id") else {
            guard acceptsReportsWithoutAction else {
                throw .badArguments(
                    "update_vim() needs action_id; a server started with --accept-reports-without-action "
                        + "takes reports without one")
            }
            return report(id, status, finding, triesLeft: 3, reply: reply)
        }
        // An id that is no UUID is not the wanted action's, and a VIM's that is none is not registered.
        guard let actionID = MonitorActionID(try arguments.text("action_id")), let id else {
            return reply(.success(.string(ReportAnswer.badAction.word)))
        }
        submitter.submit(
            .report(StatusReport(id: id, status: status, actionID: actionID, finding: finding))
        ) { reply(UpdateVIMMethod.answer(to: $0)) }
    }

    /// A report that names no action counts as the wanted action's, whichever that is.
    ///
    /// An action may be replaced between the look and the decision: look again then.
    private func report(
        _ id: VIMID?, _ status: VIMStatus, _ finding: ProbeFinding, triesLeft: Int,
        reply: @escaping @Sendable (Result<JSONValue, RPCFailure>) -> Void
    ) {
        guard triesLeft > 0, let id, let vim = reader.vim(id), vim.isRegistered else {
            return reply(.success(.string(ReportAnswer.badAction.word)))
        }
        submitter.submit(
            .report(StatusReport(id: id, status: status, actionID: vim.actionID, finding: finding))
        ) { result in
            if case .success(.reported(.badAction)) = result {
                return report(id, status, finding, triesLeft: triesLeft - 1, reply: reply)
            }
            reply(UpdateVIMMethod.answer(to: result))
        }
    }

    private static func answer(
        to result: Result<Outcome, CommandFailure>
    ) -> Result<JSONValue, RPCFailure> {
        switch result {
        case .success(.reported(let answer)): .success(.string(answer.word))
        case .success: .failure(.notStored("the conductor answered a report with something else"))
        case .failure(.refused(let refusal)): .failure(.badValue(refusal.sentence))
        case .failure(let failure): .failure(.notStored(failure.sentence))
        }
    }
}
