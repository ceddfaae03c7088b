import Registry

/// Makes one measurement, within the time its order gives, and never a second one.
typealias Probe = @Sendable (ProbeOrder, ProbeBench) async -> ProbeOutcome

/// The one table of probes: a new kind is one file and one line here.
func probe(of kind: ProbeKind) -> Probe {
    switch kind {
    case .http: HTTPProbe.run
    case .kubernetes: KubernetesProbe.run
    case .tcp: TCPProbe.run
    case .icmp: ICMPProbe.run
    }
}
