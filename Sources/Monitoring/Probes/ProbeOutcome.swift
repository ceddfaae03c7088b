package import Registry

/// How one probe ended, with the evidence.
package struct ProbeOutcome: Hashable, Sendable {
    /// What a probe's end says of the endpoint.
    package enum Meaning: Hashable, Sendable {
        /// It answered as it should.
        case answered
        /// It did not.
        case failed
        /// Nothing: the trouble was this machine's own, so neither counts.
        case inconclusive
    }

    /// What it says of the endpoint.
    package var meaning: Meaning
    /// Why it ended as it did.
    package var finding: ProbeFinding
    /// How long each phase took.
    package var phases: PhaseTimes
    /// The library's own words about a failure; may be empty.
    package var explanation: String

    package init(
        _ meaning: Meaning, _ finding: ProbeFinding, phases: PhaseTimes = PhaseTimes(),
        explanation: String = ""
    ) {
        self.meaning = meaning
        self.finding = finding
        self.phases = phases
        self.explanation = explanation
    }
}

/// How long each phase of a probe took, sixteen bytes in all.
package struct PhaseTimes: Hashable, Sendable {
    /// One slot a phase in the order of ``ProbePhase``; 0 means the phase was not reached.
    private var slots: SIMD4<UInt32> = .zero

    package init() {}

    /// Microseconds of a phase; nil if it was not reached.
    ///
    /// A phase that took no time counts as 1.
    package subscript(phase: ProbePhase) -> UInt32? {
        get {
            let value = slots[Int(phase.rawValue) - 1]
            return value == 0 ? nil : value
        }
        set { slots[Int(phase.rawValue) - 1] = newValue.map { max(1, $0) } ?? 0 }
    }

    /// The phases that were reached, in order.
    package var list: [ProbeResult.Phase] {
        ProbePhase.allCases.compactMap { phase in
            self[phase].map { ProbeResult.Phase(phase: phase, microseconds: $0) }
        }
    }
}
