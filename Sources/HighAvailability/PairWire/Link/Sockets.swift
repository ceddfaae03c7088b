import NIOCore
import NIOPosix
import NIOSSL

/// Waits for the peer's connections.
struct PairListener {
    let address: PairAddress
    let tls: NIOSSLContext?

    /// Listens; each new channel gets a connection, or is closed if `accept` throws.
    func start(
        on loop: any EventLoop, accept: @escaping @Sendable () throws -> some ChannelHandler
    ) async throws -> any Channel {
        try await ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .pairOptions()
            .childChannelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = try accept()
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .bind(host: address.host, port: address.port).get()
    }
}

/// Connects to the peer.
struct PairDialer {
    let address: PairAddress
    let tls: NIOSSLContext?

    /// Connects once.
    ///
    /// What becomes of a connection that stands, it tells itself.
    func dial(_ connection: PairConnection, on loop: any EventLoop) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound(connection, eventLoop: loop)
        return dial(on: loop, silenceSeconds: WireLimits.silenceSeconds) { bound.value }
    }

    /// Connects once; what handles the channel is made on the event loop.
    ///
    /// - Parameter silenceSeconds: how long what was sent may stay unacknowledged by the peer's system.
    func dial(
        on loop: any EventLoop, silenceSeconds: Int,
        with handler: @escaping @Sendable () -> some ChannelHandler
    ) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .connectTimeout(WireLimits.connectPatience)
            .pairOptions(silenceSeconds: silenceSeconds)
            .channelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            try NIOSSLClientHandler(context: tls, serverHostname: nil))
                    }
                    try channel.pipeline.syncOperations.addHandler(handler())
                }
            }
            .connect(host: address.host, port: address.port)
    }
}
