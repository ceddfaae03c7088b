import ClientHistory

/// What each fault did to the callers, as a table.
struct FaultTable {
    private var phases: [(name: String, start: Duration)] = []
    private let recorder: HistoryRecorder

    init(recorder: HistoryRecorder) { self.recorder = recorder }

    /// From now on it is this fault.
    mutating func begin(_ name: String) { phases.append((name, recorder.now)) }

    /// No fault any more.
    mutating func end() { phases.append(("", recorder.now)) }

    /// A line for each fault.
    ///
    /// How many calls were acknowledged, and what of that was lost or stale; the longest times without an
    /// acknowledgement; how many calls were not answered.
    func text(_ history: ClientHistory, _ violations: [Violation]) -> String {
        var lines = [
            "| fault | acknowledged | lost | stale | s without a write | s without a report | unanswered |",
            "|---|---|---|---|---|---|---|",
        ]
        for (phase, next) in zip(phases, phases.dropFirst()) {
            let (start, end) = (phase.start, next.start)
            func isMeant(_ call: Call) -> Bool { call.began >= start && call.began < end }
            func count(_ kind: Violation.Kind) -> Int {
                violations.count { $0.kind == kind && isMeant($0.call) }
            }
            let writes = history.longestSilence(from: start, to: end) {
                $0.isAcknowledgedWrite && !$0.isReport
            }
            let reports = history.longestSilence(from: start, to: end) {
                $0.isAcknowledgedWrite && $0.isReport
            }
            let acknowledged = history.calls.count { isMeant($0) && $0.isAcknowledgedWrite }
            let unanswered = history.calls.count { isMeant($0) && !$0.isAnswered }
            let cells = [
                phase.name, "\(acknowledged)", "\(count(.lost))", "\(count(.stale))", seconds(writes),
                seconds(reports), "\(unanswered)",
            ]
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n")
    }

    private func seconds(_ duration: Duration) -> String {
        let tenths = (duration / .milliseconds(100)).rounded()
        return String(tenths / 10)
    }
}
