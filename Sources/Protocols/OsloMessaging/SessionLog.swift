import AMQP
import Logging

/// What an operator reads of a connection to the broker.
struct SessionLog {
    let logger: Logger

    func tell(_ news: SessionNews, url: BrokerURL) {
        switch news {
        case .connected(let host):
            logger.notice("connected to the broker", metadata: ["broker": "\(host)"])
        case .lost(let error):
            logger.warning("the connection to the broker is lost; trying again", metadata: reason(error))
        case .unreachable(let error):
            var metadata = reason(error)
            metadata["broker"] = "\(url)"
            logger.warning("no connection to the broker; trying again until there is one", metadata: metadata)
        case .blocked(true):
            logger.warning("the broker takes no messages: it is short of memory or disk; answers wait")
        case .blocked(false): logger.notice("the broker takes messages again")
        }
    }

    private func reason(_ error: AMQPError) -> Logger.Metadata { ["reason": "\(error)"] }
}

/// Lets one line through in ten seconds and counts the rest, so that bad messages cannot fill a disk.
struct LogThrottle {
    private static let interval = Duration.seconds(10)
    private var last: ContinuousClock.Instant?
    private var skippedCount = 0

    /// How many lines were held back before this one; nil if this one is, too.
    mutating func admit(_ now: ContinuousClock.Instant) -> Int? {
        if let last, now < last + LogThrottle.interval {
            skippedCount += 1
            return nil
        }
        last = now
        defer { skippedCount = 0 }
        return skippedCount
    }
}

/// Random names, as oslo.messaging makes them.
enum RandomText {
    /// 32 hexadecimal digits.
    static func hexadecimal() -> String {
        (0..<2).map { _ in
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
