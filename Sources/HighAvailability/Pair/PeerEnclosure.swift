import EventLog
import Foundation
import Synchronization

/// What a node tells the other one in its greeting.
struct PeerEnclosure: Codable, Sendable {
    /// Where its API answers: `host:port`.
    var address: String
    /// Its master key: a node that joins with an empty log takes it over, so that nobody copies a file.
    ///
    /// It travels over the pair's wire, which is TLS or does not leave the machine.
    var masterKey: [UInt8]
    /// About how many bytes it brings to a node that has nothing; nil if it brings no copy.
    var copyByteCount: UInt64?
    /// Whether it has nothing and wants to be brought a copy; nil if not.
    var wantsCopy: Bool?

    init(address: String, masterKey: [UInt8]) {
        (self.address, self.masterKey) = (address, masterKey)
    }

    init?(bytes: [UInt8]) {
        guard let known = try? JSONDecoder().decode(PeerEnclosure.self, from: Data(bytes)) else { return nil }
        self = known
    }

    /// JSON.
    var bytes: [UInt8] { (try? JSONEncoder().encode(self)).map(Array.init) ?? [] }
}

/// What this node tells; the key changes when it takes over the leader's.
final class OwnEnclosure: Sendable {
    private let current: Mutex<PeerEnclosure>

    init(_ enclosure: PeerEnclosure) { current = Mutex(enclosure) }

    /// What is told now, by who has this log.
    func bytes(of log: EventLog) -> [UInt8] {
        var enclosure = current.withLock { $0 }
        enclosure.copyByteCount = CopyOffer.byteCount(of: log)
        return enclosure.bytes
    }

    func take(masterKey: [UInt8]) { current.withLock { $0.masterKey = masterKey } }
}
