package import Registry

/// What still matters of a run of events when it is over: all but refused reports, and those that a later one
/// of the same VIM supersedes.
///
/// Whoever reads runs side by side makes one of each; a table that takes them in, in order, becomes what a
/// replay makes of the events.
package struct Excerpt: Sendable {
    /// An accepted report: the first of its VIM in the run, or after another event of the VIM; one of another
    /// status than the one before; or the last.
    package struct Report: Sendable {
        var stream: UInt32
        var position: UInt64
        var time: Timestamp
        var status: VIMStatus
        var finding: ProbeFinding

        package init(
            stream: UInt32, position: UInt64, time: Timestamp, status: VIMStatus, finding: ProbeFinding
        ) {
            (self.stream, self.position, self.time) = (stream, position, time)
            (self.status, self.finding) = (status, finding)
        }
    }

    /// The position of the run's last event.
    package var lastPosition: UInt64 = 0
    /// The last position of each stream that the run has events of.
    package private(set) var lastPositions: [(stream: UInt32, position: UInt64)] = []
    fileprivate private(set) var reports: [Report] = []
    /// Everything but reports, each with how many of the reports go before it.
    fileprivate private(set) var others: [(event: PlacedEvent, reportCount: Int)] = []

    package init() {}

    package mutating func add(_ report: Report) { reports.append(report) }

    package mutating func add(_ event: PlacedEvent) { others.append((event, reports.count)) }

    package mutating func end(_ stream: UInt32, at position: UInt64) {
        lastPositions.append((stream, position))
    }
}

extension VIMTable {
    /// Takes in what matters of the events that follow.
    ///
    /// - Throws: ``ProjectionFault`` at the first of them that cannot follow.
    package mutating func apply(_ excerpt: Excerpt) throws(ProjectionFault) {
        var next = 0
        for (event, reportCount) in excerpt.others {
            try fold(excerpt.reports[next..<reportCount])
            next = reportCount
            position = event.position - 1
            try apply(event)
        }
        try fold(excerpt.reports[next...])
        for (stream, last) in excerpt.lastPositions {
            if stream == 0 { lastConductorPosition = last } else { lastPositions[Int(stream) - 1] = last }
        }
        position = excerpt.lastPosition
    }

    private mutating func fold(_ reports: ArraySlice<Excerpt.Report>) throws(ProjectionFault) {
        for report in reports {
            let row = Int(report.stream) - 1
            guard row < watches.count else {
                throw ProjectionFault(
                    position: report.position, "a report in stream \(report.stream), which has no VIM")
            }
            if watches[row].accept(report.status, report.finding, at: report.time) {
                entries.append(
                    StoredHistoryEntry(
                        position: report.position, time: report.time, stream: report.stream, kind: .monitor,
                        status: report.status, finding: report.finding))
            }
        }
    }
}
