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
    private static let argumentNames = ["vim_id", "status", "action_id", "finding"]

    func call(_ arguments: RPCArguments, reply: @escaping @Sendable (RPCOutcome) -> Void) {
        call([arguments], mayBlock: false) { for answer in $0 { reply(answer.outcome) } }
    }

    /// Reports that came together go to the conductor together, and so do their answers back.
    func call(
        _ calls: [RPCArguments], mayBlock: Bool,
        reply: @escaping @Sendable (_ answers: [(index: Int, outcome: RPCOutcome)]) -> Void
    ) {
        var reports: [(index: Int, command: Command)] = []
        reports.reserveCapacity(calls.count)
        for (index, arguments) in calls.enumerated() {
            do throws(RPCFailure) {
                switch try read(Arguments(name, arguments)) {
                case .report(let report): reports.append((index, .report(report)))
                case .ofAnyAction(let id, let status, let finding):
                    self.report(id, status, finding, triesLeft: 3) { reply([(index, $0)]) }
                case .ofNobody: reply([(index, .success(.string(ReportAnswer.badAction.word)))])
                }
            } catch {
                reply([(index, .failure(error))])
            }
        }
        if reports.isEmpty { return }
        let indices = reports.map(\.index)
        submitter.submit(reports.map(\.command), mayBlock: mayBlock) { results in
            reply(zip(indices, results).map { ($0, UpdateVIMMethod.answer(to: $1)) })
        }
    }

    /// What a call claims.
    private enum Claim {
        case report(StatusReport)
        /// Of whichever action is the wanted one.
        case ofAnyAction(VIMID?, VIMStatus, ProbeFinding)
        /// An id that is no UUID is not the wanted action's, and a VIM's that is none is not registered.
        case ofNobody
    }

    private func read(_ arguments: Arguments) throws(RPCFailure) -> Claim {
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
            return .ofAnyAction(id, status, finding)
        }
        guard let actionID = MonitorActionID(try arguments.text("action_id")), let id else {
            return .ofNobody
        }
        return .report(StatusReport(id: id, status: status, actionID: actionID, finding: finding))
    }

    /// A report that names no action counts as the wanted action's, whichever that is.
    ///
    /// An action may be replaced between the look and the decision: look again then.
    private func report(
        _ id: VIMID?, _ status: VIMStatus, _ finding: ProbeFinding, triesLeft: Int,
        reply: @escaping @Sendable (RPCOutcome) -> Void
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

    private static func answer(to result: Result<Outcome, CommandFailure>) -> RPCOutcome {
        switch result {
        case .success(.reported(let answer)): .success(.string(answer.word))
        case .success: .failure(.notStored("the conductor answered a report with something else"))
        case .failure(.refused(let refusal)): .failure(.badValue(refusal.sentence))
        // To report twice does no harm: whoever leads the pair now answers.
        case .failure(.notLeading), .failure(.outcomeUnknown): .failure(.elsewhere)
        case .failure(let failure): .failure(.notStored(failure.sentence))
        }
    }
}
