import Foundation
import Identity
import Synchronization

/// What a node tells the other one in its greeting.
struct PeerEnclosure: Codable, Equatable, Sendable {
    /// Where its API answers: `host:port`.
    var address: String
    /// Its master key: the node that follows it takes it over, so that nobody copies a file.
    ///
    /// It travels over the pair's wire, which is TLS or does not leave the machine.
    var masterKey: [UInt8]
    /// The key that may take its place while this link stands: a rotation is under way.
    var nextMasterKey: [UInt8]?
    /// Whether it takes over another master key also when its log is not empty; nil in versions that do not.
    var takesMasterKeys: Bool? = true
    /// Whether it brings a copy of its log to a node that has nothing; nil if not.
    var bringsCopy: Bool?
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
    var bytes: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return (try? encoder.encode(self)).map(Array.init) ?? []
    }

    /// The key in use, and the one that may follow.
    var masterKeys: [MasterKey] {
        ([masterKey] + [nextMasterKey].compactMap(\.self)).compactMap(MasterKey.init)
    }
}

/// What this node tells; the key changes when it rotates it, or takes over the leader's.
final class OwnEnclosure: Sendable {
    private struct State: Sendable {
        var enclosure: PeerEnclosure
        var fingerprint: String?
        var isUntold = false
    }

    private let state: Mutex<State>

    init(_ enclosure: PeerEnclosure) {
        state = Mutex(State(enclosure: enclosure))
        take(masterKey: enclosure.masterKey)
    }

    var present: PeerEnclosure { state.withLock { $0.enclosure } }
    /// What is told now.
    var bytes: [UInt8] { present.bytes }
    /// Of the master key in use.
    var fingerprint: String? { state.withLock { $0.fingerprint } }

    /// A copy of the log is brought from now on, or not any more.
    func offerCopy(_ isOffered: Bool) {
        state.withLock { $0.enclosure.bringsCopy = isOffered ? true : nil }
    }

    /// This key is in use from now on, and none will follow.
    func take(masterKey: [UInt8]) {
        state.withLock { state in
            state.isUntold = state.isUntold || state.enclosure.masterKey != masterKey
            state.enclosure.masterKey = masterKey
            state.enclosure.nextMasterKey = nil
            state.fingerprint = MasterKey(bytes: masterKey)?.fingerprintText
        }
    }

    /// This key may soon be the one in use; nil if none is.
    func announce(_ masterKey: [UInt8]?) {
        state.withLock { $0.enclosure.nextMasterKey = masterKey }
    }

    /// Whether a link that stands may have begun with another key in use; asked once.
    func wasUntold() -> Bool {
        state.withLock { state in
            defer { state.isUntold = false }
            return state.isUntold
        }
    }
}
