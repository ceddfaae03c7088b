import Harness
import Testing

/// Prints how long it took until all was well again, by the monotonic clock and in deadlines of silence; no
/// time decides a test: what may not have happened meanwhile stands in the log.
func healing(
    _ who: String, _ what: String, deadline: Duration, _ body: () async throws -> Void
) async throws {
    let took = try await ContinuousClock().measure { try await body() }
    let deadlines = (took / deadline * 10).rounded() / 10
    print("\(who): \(what): healed after \(deadlines) deadlines (\(took))")
}

extension RunningServer {
    /// Shows by the log that no VIM was without a heard action for two deadlines since a position: after each
    /// deadline of silence it would have been assigned another.
    func expectHealedWithinTwoDeadlines(_ ids: [String], since position: Int) async throws {
        let assigned = try await auditLog("--from", "\(position + 1)", "--type", "vim.monitor_assigned")
        for id in ids {
            let lost = assigned.filter { $0["vim_id"].string == id && $0["reason"] == "monitor_lost" }
            #expect(lost.count <= 1, "\(lost)")
        }
    }
}
