import Glibc
import NIOCore
import NIOPosix

/// What both kinds of connection have: small messages leave at once, a dead peer is noticed within seconds.
private func socketOptions(silenceSeconds: Int) -> [(level: Int32, name: Int32, value: Int)] {
    [
        (Int32(IPPROTO_TCP), TCP_NODELAY, 1),
        (SOL_SOCKET, SO_KEEPALIVE, 1),
        (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 1),
        (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 1),
        (Int32(IPPROTO_TCP), TCP_KEEPCNT, silenceSeconds),
        // Milliseconds that sent bytes may stay unacknowledged.
        (Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, silenceSeconds * 1_000),
    ]
}

/// Batches are read and written in large pieces.
private let watermark = ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)
private let pieces = AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 64 << 10, maximum: 1 << 20)

extension ClientBootstrap {
    func pairOptions(silenceSeconds: Int) -> ClientBootstrap {
        let plain = channelOption(.writeBufferWaterMark, value: watermark)
            .channelOption(.recvAllocator, value: pieces)
        return socketOptions(silenceSeconds: silenceSeconds).reduce(plain) { bootstrap, option in
            bootstrap.channelOption(
                ChannelOptions.Types.SocketOption(
                    level: .init(rawValue: option.level), name: .init(rawValue: option.name)),
                value: .init(option.value))
        }
    }
}

extension ServerBootstrap {
    func pairOptions() -> ServerBootstrap {
        let plain = childChannelOption(.writeBufferWaterMark, value: watermark)
            .childChannelOption(.recvAllocator, value: pieces)
        return socketOptions(silenceSeconds: WireLimits.silenceSeconds).reduce(plain) { bootstrap, option in
            bootstrap.childChannelOption(
                ChannelOptions.Types.SocketOption(
                    level: .init(rawValue: option.level), name: .init(rawValue: option.name)),
                value: .init(option.value))
        }
    }
}
