import NIOCore
import NIOPosix
import NIOSSL
import Registry

/// Opens a probe's connection: resolve, then connect to one address after the other.
///
/// All addresses of a name are tried in order, as a client would, since a name often has an IPv6 address
/// where only IPv4 answers. Each gets an equal share of the time that is left.
struct Connection {
    /// More addresses than this are not tried.
    private static let addressesMax = 4

    var trace: ProbeTrace
    var resolver: Resolver
    var target: ProbeTarget
    /// Puts the probe's handlers into a new channel.
    var initializer: @Sendable (any Channel) throws -> Void
    /// Closes a channel at once, without TLS's farewell.
    var close: @Sendable (any Channel) -> Void = { $0.close(promise: nil) }
    /// Called when a connection stands.
    var connected: @Sendable () -> Void = {}

    /// Starts; everything that follows ends in the trace.
    func open() {
        trace.enter(.resolve, isOwnWait: true)
        let trace = trace
        resolver.addresses(of: target, on: trace.loop, isStillWanted: { trace.endOwnWait() }).whenComplete {
            result in
            trace.endOwnWait()
            switch result {
            case .success(let addresses): connect(addresses.prefix(Connection.addressesMax))
            case .failure(let error): trace.finish(ConnectionFailure(resolving: error))
            }
        }
    }

    private func connect(_ addresses: ArraySlice<SocketAddress>) {
        guard let address = addresses.first, !trace.hasEnded else { return }
        let rest = addresses.dropFirst()
        trace.enter(.connect)
        let left = trace.deadline - .now()
        // The last address needs no share: the probe's own deadline ends it.
        let share = rest.isEmpty ? left + .hours(1) : .nanoseconds(left.nanoseconds / Int64(addresses.count))
        let (trace, close, initializer) = (trace, close, initializer)
        ClientBootstrap(group: trace.loop)
            .connectTimeout(max(share, .milliseconds(1)))
            .channelInitializer { channel in
                trace.hold { close(channel) }
                return channel.eventLoop.makeCompletedFuture { try initializer(channel) }
            }
            .connect(to: address)
            .whenComplete { result in
                switch result {
                case .success: connected()
                case .failure(let error):
                    let failure = ConnectionFailure(error, in: .connect)
                    // It stood, and was reset before anybody here looked: that this machine is slow must
                    // not decide what the probe says.
                    if failure.hasConnected { connected() }
                    // Where this machine fails the next address would fail as well.
                    if rest.isEmpty || failure.isOwnTrouble {
                        trace.finish(failure)
                    } else {
                        connect(rest)
                    }
                }
            }
    }
}
