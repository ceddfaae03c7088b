public import EtcdClient
public import PairWire

/// What a node must know of its pair.
public struct NodeConfiguration: Sendable {
    /// The pair's name: its keys in etcd lie below `/vedette/NAME/`, and a node of another name is refused.
    public var pair: String
    /// How long the leader's key outlives its holder's last sign of life; whole seconds, at least one.
    ///
    /// A failover takes about so long.
    public var lease: Duration = .seconds(2)
    /// Where the API answers, `host:port`, as the other node reaches it.
    public var address: String
    /// How etcd is reached.
    public var etcd: EtcdSettings
    /// How the other node is reached.
    public var wire: PairConfiguration

    /// A pair's name, where this node's API answers, and the two others.
    public init(pair: String, address: String, etcd: EtcdSettings, wire: PairConfiguration) {
        self.pair = pair
        self.address = address
        self.etcd = etcd
        self.wire = wire
    }
}

/// Why a node cannot be one of a pair: one sentence that says what to do.
public struct PairFault: Error, Hashable, Sendable {
    /// One sentence.
    public let sentence: String
    /// Whether the same would fail again, however often it is tried.
    let isLasting: Bool

    init(_ sentence: String, isLasting: Bool = false) {
        self.sentence = sentence
        self.isLasting = isLasting
    }
}
