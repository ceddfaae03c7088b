public import PairProtocol

/// What a node says first on a connection, and its peer answers with.
public struct PairGreeting: Hashable, Sendable {
    /// The versions of the wire that this build speaks.
    public static let spokenVersions: ClosedRange<UInt16> = 1...4

    /// The pair that the node belongs to; nodes of different pairs refuse each other.
    public var pairName: String
    /// The node's log.
    public var identity: LogIdentity
    /// The format that its log stores: batches travel byte for byte, so both must have the same.
    public var logFormat: UInt32
    /// The program's version, for people.
    public var programVersion: String
    /// The node's name, for people.
    public var hostName: String
    /// Bytes that mean nothing here; at most ``WireLimits/enclosureByteMax``.
    public var enclosure: [UInt8]
    /// The versions of the wire that the node speaks.
    public internal(set) var versions = PairGreeting.spokenVersions

    /// All parts at once; texts have at most ``WireLimits/textByteMax`` bytes and no control characters.
    public init(
        pairName: String, identity: LogIdentity, logFormat: UInt32, programVersion: String, hostName: String,
        enclosure: [UInt8] = []
    ) {
        self.pairName = pairName
        self.identity = identity
        self.logFormat = logFormat
        self.programVersion = programVersion
        self.hostName = hostName
        self.enclosure = enclosure
    }

    /// The highest version that both speak; nil if there is none.
    func commonVersion(with other: PairGreeting) -> UInt16? {
        let version = min(versions.upperBound, other.versions.upperBound)
        return version >= max(versions.lowerBound, other.versions.lowerBound) ? version : nil
    }

    /// Why these two cannot be a pair, in a sentence that is true on both sides; nil if they can.
    func refusal(of other: PairGreeting) -> String? {
        if pairName != other.pairName {
            return "\(hostName) belongs to the pair '\(pairName)', \(other.hostName) to '\(other.pairName)'"
        }
        if commonVersion(with: other) == nil {
            let older = versions.upperBound < other.versions.upperBound ? self : other
            return "\(hostName) speaks \(spoken), \(other.hostName) \(other.spoken): none in common, upgrade "
                + "\(older.hostName)"
        }
        if identity == other.identity {
            return
                "\(hostName) and \(other.hostName) have the same log, \(identity): a node talks to itself, "
                + "or its files were copied"
        }
        if logFormat != other.logFormat {
            return
                "\(hostName) stores log format \(logFormat), \(other.hostName) \(other.logFormat): upgrade "
                + (logFormat < other.logFormat ? hostName : other.hostName)
        }
        return nil
    }

    private var spoken: String {
        versions.count == 1
            ? "version \(versions.lowerBound) of the pair's wire"
            : "versions \(versions.lowerBound) to \(versions.upperBound) of the pair's wire"
    }
}
