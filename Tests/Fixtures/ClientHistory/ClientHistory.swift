/// What the callers of a pair saw, to be held against the log that survived.
///
/// The log's order is the order in which everything happened. It explains the history if each answered call
/// can be given a point of it that fits its answer and lies behind the points of all calls that were answered
/// before it began: linearizability, where the order of the writes is known. A write's point is its event; a
/// read's is the earliest that fits, which leaves most room to those that follow.
package struct ClientHistory: Sendable {
    package var calls: [Call]

    package init(_ calls: [Call]) { self.calls = calls }

    /// What of the history the log does not explain, in the order in which the calls began.
    package func violations(in log: [LoggedEvent]) -> [Violation] {
        let index = LogIndex(log)
        let answered = calls.filter(\.isAnswered).sorted { $0.began < $1.began }
        let byEnd = answered.indices.sorted { answered[$0].ended < answered[$1].ended }
        var points = Array(repeating: 0, count: answered.count)
        var floor = 0
        var endedCount = 0
        var violations: [Violation] = []
        for (number, call) in answered.enumerated() {
            // They began before they ended, so they have their points.
            while endedCount < byEnd.count, answered[byEnd[endedCount]].ended < call.began {
                floor = max(floor, points[byEnd[endedCount]])
                endedCount += 1
            }
            do throws(Misfit) { points[number] = try point(of: call, after: floor, in: index) } catch {
                violations.append(Violation(kind: error.kind, call: call, sentence: error.sentence))
                points[number] = floor
            }
        }
        return violations
    }

    /// The longest time between two moments in which no call that passes was answered.
    package func longestSilence(
        from start: Duration, to end: Duration, of isMeant: (Call) -> Bool = { _ in true }
    ) -> Duration {
        let times = calls.filter { $0.isAnswered && isMeant($0) && $0.ended > start && $0.ended < end }
            .map(\.ended).sorted()
        let edges = [start] + times + [end]
        return zip(edges, edges.dropFirst()).map { $1 - $0 }.max() ?? .zero
    }
}

/// Why there is no point for a call.
private struct Misfit: Error {
    var kind: Violation.Kind
    var sentence: String

    init(_ kind: Violation.Kind, _ sentence: String) { (self.kind, self.sentence) = (kind, sentence) }
}

private func point(of call: Call, after floor: Int, in log: LogIndex) throws(Misfit) -> Int {
    switch (call.wish, call.answer) {
    case (.register(let name), .registered(let vim)):
        return try point(of: log.registrations[name], vim, after: floor)
    case (.update(let vim, let description), .done):
        return try point(of: log.updates[description], vim, after: floor)
    case (.deregister(let vim), .done):
        return try point(of: log.deregistrations[vim].map { ($0, vim) }, vim, after: floor)
    case (.report(let vim, let action, _, let number), .told(let answer)):
        return try point(ofReport: number, of: action, on: vim, answer, after: floor, in: log)
    case (.show(let vim), .shown(let description)):
        return try point(where: vim, is: description, after: floor, in: log)
    case (.show(let vim), .absent), (.update(let vim, _), .absent), (.deregister(let vim), .absent):
        // A VIM that the log does not know never was there.
        guard log.descriptions[vim] != nil else { return floor }
        return try point(where: vim, is: nil, after: floor, in: log)
    default: throw Misfit(.wrong, "that is no answer to this")
    }
}

/// The point of a write, which is its event.
private func point(
    of event: (position: Int, vim: String)?, _ vim: String, after floor: Int
) throws(Misfit) -> Int {
    guard let event else { throw Misfit(.lost, "the log does not have it") }
    guard event.vim == vim else { throw Misfit(.wrong, "the log has it of VIM \(event.vim)") }
    guard event.position > floor else {
        throw Misfit(.moved, "at \(event.position), though \(floor) was answered before it began")
    }
    return event.position
}

private func point(
    ofReport number: Int, of action: String, on vim: String, _ answer: String, after floor: Int,
    in log: LogIndex
) throws(Misfit) -> Int {
    if answer != "bad_action", let end = log.end(ofAction: action, of: vim), end <= floor {
        throw Misfit(.stale, "its action ended at \(end), and \(floor) was answered before it began")
    }
    guard let reports = log.reports[number] else { throw Misfit(.lost, "the log does not have it") }
    let fitting = reports.filter { $0.answer == answer && $0.vim == vim && $0.action == action }
    guard let report = fitting.first(where: { $0.position > floor }) ?? fitting.first else {
        throw Misfit(.wrong, "the log has another answer to it: \(reports)")
    }
    guard report.position > floor else {
        throw Misfit(.moved, "at \(report.position), though \(floor) was answered before it began")
    }
    let isWanted = log.isWanted(action, of: vim, before: report.position)
    guard isWanted == (answer != "bad_action") else {
        throw Misfit(.wrong, "at \(report.position) its action was \(isWanted ? "" : "not ")the wanted one")
    }
    return report.position
}

/// The point of a read: the first, from `floor` on, at which a VIM was as it was shown.
private func point(
    where vim: String, is description: String?, after floor: Int, in log: LogIndex
) throws(Misfit) -> Int {
    let spans = log.descriptions[vim, default: []].filter { $0.value == description }
    guard let span = spans.first(where: { $0.to > floor }) else {
        guard let last = spans.last else { throw Misfit(.wrong, "the log does not have what was shown") }
        throw Misfit(.stale, "that ended at \(last.to), and \(floor) was answered before it began")
    }
    return max(floor, span.from)
}
