package import Logging
package import NIOCore
import NIOPosix
package import Registry
import Synchronization

/// What probes share: event loops, the resolver, TLS contexts, ICMP sockets, credentials.
package final class ProbeBench: Sendable {
    private struct Lane: Sendable {
        var loop: any EventLoop
        var meter: StallMeter
    }

    let resolver = Resolver()
    let tlsContexts = TLSContexts()
    let echoes: EchoService
    private let accesses: AccessCache
    private let lanes: [Lane]
    private let turn = Atomic<Int>(0)

    package init(group: any EventLoopGroup, credentials: any CredentialSource, logger: Logger) {
        lanes = group.makeIterator().map { Lane(loop: $0, meter: StallMeter()) }
        precondition(!lanes.isEmpty, "an event loop group without a loop cannot probe")
        accesses = AccessCache(source: credentials, contexts: tlsContexts)
        echoes = EchoService(logger: logger)
    }

    /// A bench on the process's own event loops.
    package convenience init(credentials: any CredentialSource, logger: Logger) {
        self.init(
            group: MultiThreadedEventLoopGroup.singleton, credentials: credentials, logger: logger)
    }

    /// Starts threads and meters; probes made before that fail as the machine's own trouble.
    package func start() async {
        resolver.start()
        for lane in lanes { lane.meter.start(on: lane.loop) }
    }

    /// Stops what ``start()`` started.
    package func stop() async {
        for lane in lanes { lane.meter.stop() }
        await echoes.stop()
        // Not waited for: a look-up under way can block its thread for many seconds.
        resolver.stopLater()
    }

    /// Makes one probe.
    package func probe(_ order: ProbeOrder) async -> ProbeOutcome {
        await Monitoring.probe(of: order.kind)(order, self)
    }

    /// The next probe of the VIM fetches its credentials anew.
    package func forgetCredentials(of vimID: VIMID) async { await accesses.forget(vimID) }

    /// Begins a probe on one of the loops in turn.
    func trace(_ order: ProbeOrder) -> ProbeTrace {
        let number = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        let lane = lanes[Int(UInt(bitPattern: number) % UInt(lanes.count))]
        return ProbeTrace(
            on: lane.loop, timeout: .milliseconds(Int64(order.timeoutMilliseconds)), meter: lane.meter)
    }

    func access(for order: ProbeOrder) async -> VIMAccess {
        await accesses.access(of: order.vimID, for: order.actionID)
    }
}
