/// Takes commands.
///
/// Doors, monitors and workflows see the conductor only through this.
public protocol CommandSubmitter: Sendable {
    /// Returns once the command's events are durable, or throws with nothing changed.
    func submit(_ command: Command) async throws(CommandFailure) -> Outcome
}

extension CommandSubmitter {
    /// `update_vim(vim_id, status, action_id)` for a caller that has typed values.
    public func report(_ report: StatusReport) async throws(CommandFailure) -> ReportAnswer {
        guard case .reported(let answer) = try await submit(.report(report)) else {
            preconditionFailure("a report was answered with something that is no report's answer")
        }
        return answer
    }
}
