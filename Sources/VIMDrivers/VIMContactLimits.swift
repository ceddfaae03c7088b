/// How much patience and memory one contact with a VIM may cost.
public struct VIMContactLimits: Hashable, Sendable {
    /// From the first connection to the last answer, all calls together.
    public var contactTimeout: Duration
    /// For one TCP connection and TLS handshake.
    public var connectTimeout: Duration
    /// The longest answer that is read, in bytes; a large cluster's namespaces take some kilobytes each.
    public var answerByteMax: Int

    /// Limits; the defaults wait as long as Tacker does (20 s) and read at most 8 MiB.
    public init(
        contactTimeout: Duration = .seconds(20), connectTimeout: Duration = .seconds(5),
        answerByteMax: Int = 8 << 20
    ) {
        self.contactTimeout = contactTimeout
        self.connectTimeout = connectTimeout
        self.answerByteMax = answerByteMax
    }
}
