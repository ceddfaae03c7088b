import Encodings

/// What a node tells of itself under `nodes/`, for `vedette pair status`; nothing is decided by it.
public struct PairMember: Hashable, Sendable {
    /// What the node is.
    public enum Role: String, Hashable, Sendable, CaseIterable {
        /// Follows a leader, or nobody.
        case standby
        /// Holds the key and makes its epoch durable.
        case entering
        /// Leads.
        case leader
    }

    /// The node's name.
    public var name: String
    /// Where clients reach it, such as `http://10.0.0.1:9890`.
    public var restAddress: String
    /// Where the other node reaches it.
    public var peerAddress: String
    /// The version of the program.
    public var version: String
    /// What it is.
    public var role: Role
    /// The highest epoch it knows.
    public var epoch: UInt64
    /// Where its durable log ends.
    public var end: UInt64
    /// The fingerprint of its master key; nil if it does not say.
    public var masterKey: String?
    /// What is wrong, in a sentence; nil if nothing is.
    public var trouble: String?
    /// When it said so: microseconds since 1970, by its own clock.
    public var time: Int64

    /// All parts at once.
    public init(
        name: String, restAddress: String, peerAddress: String, version: String, role: Role, epoch: UInt64,
        end: UInt64, masterKey: String? = nil, trouble: String?, time: Int64
    ) {
        self.name = name
        self.restAddress = restAddress
        self.peerAddress = peerAddress
        self.version = version
        self.role = role
        self.epoch = epoch
        self.end = end
        self.masterKey = masterKey
        self.trouble = trouble
        self.time = time
    }

    /// Compact JSON; numbers of 64 bits without sign as texts.
    var encoded: [UInt8] {
        var members: [String: JSONValue] = [
            "name": .string(name), "rest_address": .string(restAddress),
            "peer_address": .string(peerAddress), "version": .string(version),
            "role": .string(role.rawValue), "epoch": .string(String(epoch)), "end": .string(String(end)),
            "time": .integer(time),
        ]
        if let masterKey { members["master_key"] = .string(masterKey) }
        if let trouble { members["trouble"] = .string(trouble) }
        return JSONValue.object(members).encoded
    }

    /// Nil if it is not what ``encoded`` writes; members that are not known are passed over, and a role that
    /// is not known reads as standby, since nothing is decided by it.
    init?(encoded bytes: [UInt8]) {
        guard let json = try? JSONValue(json: bytes), let name = json["name"]?.string,
            let restAddress = json["rest_address"]?.string, let peerAddress = json["peer_address"]?.string,
            let version = json["version"]?.string,
            let role = json["role"]?.string,
            let epoch = json["epoch"]?.string.flatMap({ UInt64($0) }),
            let end = json["end"]?.string.flatMap({ UInt64($0) }), case .integer(let time)? = json["time"]
        else { return nil }
        self.init(
            name: name, restAddress: restAddress, peerAddress: peerAddress, version: version,
            role: Role(rawValue: role) ?? .standby, epoch: epoch, end: end,
            masterKey: json["master_key"]?.string, trouble: json["trouble"]?.string, time: time)
    }
}
