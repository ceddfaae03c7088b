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

    /// A copy of its log that it brings the other node, which has nothing yet.
    public struct Copy: Hashable, Sendable {
        /// The other node's name.
        public var host: String
        /// How many bytes it has sent.
        public var byteCount: UInt64
        /// About how many it will send; as many as it has sent when that is all.
        public var total: UInt64

        /// All parts at once.
        public init(to host: String, byteCount: UInt64, of total: UInt64) {
            (self.host, self.byteCount, self.total) = (host, byteCount, total)
        }

        /// Whether all of it was sent, so that the other node verifies it.
        public var isWhole: Bool { byteCount >= total }

        var json: JSONValue {
            .object([
                "host": .string(host), "bytes": .string(String(byteCount)), "of": .string(String(total)),
            ])
        }

        init?(_ json: JSONValue) {
            guard let host = json["host"]?.string, let bytes = json["bytes"]?.string.flatMap({ UInt64($0) }),
                let total = json["of"]?.string.flatMap({ UInt64($0) })
            else { return nil }
            self.init(to: host, byteCount: bytes, of: total)
        }
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
    /// The copy that is on its way, or that the other node verifies; nil if there is none.
    public var copy: Copy?
    /// When it said so: microseconds since 1970, by its own clock.
    public var time: Int64

    /// All parts at once.
    public init(
        name: String, restAddress: String, peerAddress: String, version: String, role: Role, epoch: UInt64,
        end: UInt64, masterKey: String? = nil, trouble: String?, copy: Copy? = nil, time: Int64
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
        self.copy = copy
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
        if let copy { members["copy"] = copy.json }
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
            masterKey: json["master_key"]?.string, trouble: json["trouble"]?.string,
            copy: json["copy"].flatMap { Copy($0) }, time: time)
    }
}
