/// One probe as it went, for an operator who asks why.
public struct ProbeResult: Hashable, Sendable {
    /// When it began.
    public var time: Timestamp
    /// What kind of probe it was.
    public var kind: ProbeKind
    /// What it measured against: `host:port`, an address, or a URL; never credentials.
    public var target: String
    /// Whether the endpoint answered as it should.
    public var succeeded: Bool
    /// Why it ended as it did.
    public var finding: ProbeFinding
    /// How long each finished or failed phase took, in microseconds, in order.
    public var phases: [Phase]
    /// The library's own words about a failure; may be empty.
    public var explanation: String

    /// One phase and its duration.
    public struct Phase: Hashable, Sendable {
        /// Which phase.
        public var phase: ProbePhase
        /// How long it took, in microseconds.
        public var microseconds: UInt32

        /// All parts at once.
        public init(phase: ProbePhase, microseconds: UInt32) {
            self.phase = phase
            self.microseconds = microseconds
        }
    }

    /// All parts at once.
    public init(
        time: Timestamp, kind: ProbeKind, target: String, succeeded: Bool, finding: ProbeFinding,
        phases: [Phase],
        explanation: String
    ) {
        self.time = time
        self.kind = kind
        self.target = target
        self.succeeded = succeeded
        self.finding = finding
        self.phases = phases
        self.explanation = explanation
    }
}

/// The last probes of one VIM: two rings, so that many successes do not wash out the failures.
public struct ProbeRecord: Hashable, Sendable {
    /// The last results, oldest first.
    public var results: [ProbeResult]
    /// The last failures, oldest first; may overlap with the results.
    public var failures: [ProbeResult]

    /// Pairs the two rings.
    public init(results: [ProbeResult] = [], failures: [ProbeResult] = []) {
        self.results = results
        self.failures = failures
    }
}

/// Remembers the last probes in memory; they are gone with the process.
public protocol ProbeJournal: Sendable {
    /// The record of a VIM; nil if nothing probes it here.
    func record(of vimID: VIMID) async -> ProbeRecord?
}
