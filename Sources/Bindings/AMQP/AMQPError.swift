import CRabbitMQ

/// Why something on a connection failed; keeps what the broker or the library said.
package struct AMQPError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Who said what.
    package enum Cause: Hashable, Sendable {
        /// The library's status (`amqp.h`, `amqp_status_enum`).
        case library(Int32)
        /// The broker closed the channel: reply code and text.
        case channelClosed(UInt16, String)
        /// The broker closed the connection: reply code and text.
        case connectionClosed(UInt16, String)
        /// The broker ended a consumer, because its queue is gone.
        case consumerCancelled
        /// A file that TLS needs cannot be used.
        case unusableFile(String)
    }

    /// Who said what.
    package let cause: Cause
    /// What was being done.
    package let action: String

    init(_ cause: Cause, while action: String) {
        self.cause = cause
        self.action = action
    }

    /// The reply code, if it was the broker that said no.
    package var replyCode: UInt16? {
        switch cause {
        case .channelClosed(let code, _), .connectionClosed(let code, _): code
        default: nil
        }
    }

    /// Something is declared already with other properties (406 PRECONDITION_FAILED).
    package var isInequivalent: Bool { replyCode == 406 }

    /// One sentence; never holds a password.
    package var description: String {
        switch cause {
        case .library(let status):
            "\(action) failed: \(String(cString: amqp_error_string2(status)))"
        case .channelClosed(403, let text), .connectionClosed(403, let text):
            "\(action) failed: the broker refuses access (\(text))"
        case .channelClosed(let code, let text): "\(action) failed: the broker says \(code) \(text)"
        case .connectionClosed(let code, let text):
            "\(action) failed: the broker closed the connection, \(code) \(text)"
        case .consumerCancelled: "\(action) failed: the broker cancelled the consumer, its queue is gone"
        case .unusableFile(let path): "\(action) failed: \(path) cannot be used"
        }
    }
}
