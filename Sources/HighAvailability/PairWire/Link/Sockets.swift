import NIOCore
import NIOPosix
import NIOSSL

/// Waits for the peer's connections.
struct PairListener {
    let address: PairAddress
    let tls: NIOSSLContext?

    /// Listens; each new channel gets a connection of the engine's, or is closed.
    func start(_ engine: NIOLoopBound<LinkEngine>, on loop: any EventLoop) async throws -> any Channel {
        try await ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .pairOptions()
            .childChannelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = try engine.value.accept()
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
        return ClientBootstrap(group: loop)
            .connectTimeout(WireLimits.connectPatience)
            .pairOptions()
            .channelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            try NIOSSLClientHandler(context: tls, serverHostname: nil))
                    }
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(host: address.host, port: address.port)
    }
}
