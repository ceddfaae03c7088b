import EventLog
import Identity

/// The master keys under which a leader wraps data keys, as it told them in its greeting.
///
/// A value, which says what its follower needs: the follower's own key is named by its fingerprint.
struct LeadersKeys: Sendable {
    /// The one in use when it greeted, and the one that may have followed since.
    private let keys: [MasterKey]
    private let fingerprints: [String]

    /// Nil if it told none.
    init?(_ enclosure: PeerEnclosure) {
        keys = enclosure.masterKeys
        fingerprints = keys.map(\.fingerprintText)
        if keys.isEmpty { return nil }
    }

    /// The one in use when it greeted.
    var present: MasterKey { keys[0] }

    /// Whether a key is one of the leader's.
    func contains(_ own: String?) -> Bool { own.map { fingerprints.contains($0) } ?? false }

    /// Whether a key is the only one of the leader's.
    func isNothingBut(_ own: String?) -> Bool { contains(own) && keys.count == 1 }

    /// The key that must be in the next one's place before batches are stored; nil if the own one will do.
    ///
    /// - Throws: ``PairFault`` if data keys come under a key that the leader has not told.
    func successor(of own: String?, for told: ToldKeys) throws(PairFault) -> MasterKey? {
        if let foreign = told.changes.filter({ $0 != own && !contains($0) }).min() {
            throw PairFault(
                "data keys come under master key \(foreign), which the leader did not say: it is asked again")
        }
        // Of both the later one: what was wrapped under the former is wrapped anew in the same commit.
        return keys.last { $0.fingerprintText != own && told.all.contains($0.fingerprintText) }
    }
}

/// Under which master keys the data keys are wrapped that come with batches, by their fingerprints.
struct ToldKeys: Hashable, Sendable {
    /// Those that were gathered just now: under a key of the leader's without exception.
    let changes: Set<String>
    /// These, and those of the whole vault, in which there may be some that the leader cannot open either.
    let all: Set<String>

    init(_ batches: [TravellingBatch]) {
        var (changes, whole): ([[UInt8]], [[UInt8]]) = ([], [])
        for batch in batches {
            switch batch.vault {
            case .untold: break
            case .changes(let own): changes += own.compactMap(\.value)
            case .whole(let entries): whole += entries.compactMap(\.value)
            }
        }
        self.changes = CredentialVault.fingerprintTexts(of: changes)
        all = self.changes.union(CredentialVault.fingerprintTexts(of: whole))
    }
}
