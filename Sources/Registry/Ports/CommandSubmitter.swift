/// Told once what became of a command: after its events are durable, or with the reason why there are none.
public typealias CommandReply = @Sendable (Result<Outcome, CommandFailure>) -> Void

/// Told once what became of commands that were submitted together, in their order.
public typealias CommandsReply = @Sendable ([Result<Outcome, CommandFailure>]) -> Void

/// Takes commands.
///
/// Doors, monitors and workflows see the conductor only through this.
public protocol CommandSubmitter: Sendable {
    /// Takes a command and returns at once, for callers that carry many commands and want neither a task nor
    /// a continuation for each.
    ///
    /// - Parameter reply: called exactly once, on whichever thread learns that the events are durable, or on
    ///   the caller's if the conductor has stopped. It must be quick and must not block: others wait for it.
    func submit(_ command: Command, reply: @escaping CommandReply)

    /// Takes commands that came together: they wait, and are answered, together.
    ///
    /// Each is decided, and refused or not, by itself; only the answers come with those of the others, when
    /// the last one is there.
    /// - Parameters:
    ///   - mayBlock: the calling thread is the caller's own, and may wait for the disk: if nobody is storing,
    ///     it does so itself, which spares two changes of threads. Else this returns at once.
    ///   - reply: as for one command; if the calling thread stores, on that.
    func submit(_ commands: [Command], mayBlock: Bool, reply: @escaping CommandsReply)
}

extension CommandSubmitter {
    /// Returns once the command's events are durable, or throws with nothing changed.
    public func submit(_ command: Command) async throws(CommandFailure) -> Outcome {
        // Unchecked, since a check costs an allocation a report, and `reply` is called exactly once.
        let result = await withUnsafeContinuation { continuation in
            submit(command) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// `update_vim(vim_id, status, action_id)` for a caller that has typed values.
    public func report(_ report: StatusReport) async throws(CommandFailure) -> ReportAnswer {
        guard case .reported(let answer) = try await submit(.report(report)) else {
            preconditionFailure("a report was answered with something that is no report's answer")
        }
        return answer
    }
}
