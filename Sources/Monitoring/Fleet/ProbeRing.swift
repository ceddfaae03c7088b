import Registry

/// One probe as the rings keep it: what the VIM itself tells (its target) is left out.
struct ProbeEntry: Sendable {
    var time: Timestamp
    var finding: ProbeFinding
    var phases: PhaseTimes
    var kind: ProbeKind
    var meaning: ProbeOutcome.Meaning
    var explanation: String
}

/// The last few entries; takes no memory beyond its pointer before the first.
struct ProbeRing: Sendable {
    /// How many entries a ring keeps.
    static let capacity = 5

    private var entries: [ProbeEntry] = []
    private var oldest: UInt8 = 0

    mutating func append(_ entry: ProbeEntry) {
        guard entries.count == ProbeRing.capacity else {
            if entries.isEmpty { entries.reserveCapacity(ProbeRing.capacity) }
            entries.append(entry)
            return
        }
        entries[Int(oldest)] = entry
        oldest = UInt8((Int(oldest) + 1) % ProbeRing.capacity)
    }

    /// Oldest first.
    var inOrder: [ProbeEntry] { Array(entries[Int(oldest)...] + entries[..<Int(oldest)]) }
}

/// The two rings of one VIM, so that many successes do not wash out the failures.
struct ProbeRings: Sendable {
    /// The longest explanation kept, in bytes: what a library says can be long, and there are many VIMs.
    static let explanationBytesMax = 240

    private var results = ProbeRing()
    private var failures = ProbeRing()

    mutating func append(_ outcome: ProbeOutcome, kind: ProbeKind, at time: Timestamp) {
        let entry = ProbeEntry(
            time: time, finding: outcome.finding, phases: outcome.phases, kind: kind,
            meaning: outcome.meaning,
            explanation: ProbeRings.shortened(outcome.explanation))
        results.append(entry)
        if outcome.meaning != .answered { failures.append(entry) }
    }

    /// Both rings in full form.
    func record(target: String) -> ProbeRecord {
        func full(_ entry: ProbeEntry) -> ProbeResult {
            ProbeResult(
                time: entry.time, kind: entry.kind, target: target, succeeded: entry.meaning == .answered,
                finding: entry.finding, phases: entry.phases.list, explanation: entry.explanation)
        }
        return ProbeRecord(results: results.inOrder.map(full), failures: failures.inOrder.map(full))
    }

    private static func shortened(_ text: String) -> String {
        guard text.utf8.count > explanationBytesMax else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: explanationBytesMax - 3)
        while String.Index(end, within: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return String(text[..<end]) + "…"
    }
}
