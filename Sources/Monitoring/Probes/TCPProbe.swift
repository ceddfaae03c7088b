import Registry

/// Opens a TCP connection to the host and port of `auth_url`, and closes it.
enum TCPProbe {
    static func run(_ order: ProbeOrder, _ bench: ProbeBench) async -> ProbeOutcome {
        guard let target = ProbeTarget(order.authURL) else { return .unusableURL }
        let trace = bench.trace(order)
        return await trace.outcome {
            Connection(
                trace: trace, resolver: bench.resolver, target: target, initializer: { _ in },
                connected: { trace.finish(.answered, .answered) }
            ).open()
        }
    }
}

extension ProbeOutcome {
    /// The end of a probe whose `auth_url` cannot be used.
    ///
    /// It counts as a failure: waiting will not help it.
    static let unusableURL = ProbeOutcome(
        .failed, ProbeFinding(.proberFailed), explanation: "auth_url is no http or https URL with a host")
}
