import NIOCore
import Registry

/// An ICMP echo to the host of `auth_url`, at the first address its name has.
enum ICMPProbe {
    static func run(_ order: ProbeOrder, _ bench: ProbeBench) async -> ProbeOutcome {
        guard let target = ProbeTarget(order.authURL) else { return .unusableURL }
        let trace = bench.trace(order)
        return await trace.outcome {
            trace.enter(.resolve, isOwnWait: true)
            bench.resolver.addresses(of: target, on: trace.loop, isStillWanted: { trace.endOwnWait() })
                .whenComplete { result in
                    trace.endOwnWait()
                    switch result {
                    case .success(let addresses):
                        guard let address = addresses.first else { return }
                        trace.enter(.answer)
                        bench.echoes.echo(address, trace)
                    case .failure(let error): trace.finish(ConnectionFailure(resolving: error))
                    }
                }
        }
    }
}
