import Synchronization

/// What callers were promised: kept in memory, where no crash of the server reaches it.
///
/// Each VIM belongs to one caller, so that at any moment at most one wish for it is on its way.
final class Ledger: Sendable {
    /// What may be found of a VIM.
    struct Entry: Sendable {
        /// The description of the newest acknowledged version; nil once a deletion was acknowledged.
        var acknowledged: String?
        /// A wish that was sent and not answered: it may have happened or not.
        var open: Wish?
    }

    enum Wish: Sendable {
        case update(String)
        case delete
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let counts = Mutex<Counts>(Counts())

    /// How many answers were received, by kind.
    struct Counts: Sendable {
        var registered = 0
        var updated = 0
        var deleted = 0
        var total: Int { registered + updated + deleted }
    }

    func acknowledgeRegistration(_ id: String, _ description: String) {
        entries.withLock { $0[id] = Entry(acknowledged: description) }
        counts.withLock { $0.registered += 1 }
    }

    func begin(_ wish: Wish, _ id: String) { entries.withLock { $0[id]?.open = wish } }

    /// The open wish of a VIM was answered: it happened.
    func acknowledge(_ id: String) {
        let wish = entries.withLock { entries -> Wish? in
            let wish = entries[id]?.open
            switch wish {
            case .update(let description): entries[id]?.acknowledged = description
            case .delete: entries[id]?.acknowledged = nil
            case nil: break
            }
            entries[id]?.open = nil
            return wish
        }
        counts.withLock { if case .delete = wish { $0.deleted += 1 } else { $0.updated += 1 } }
    }

    /// The open wish of a VIM was refused: it did not happen.
    func refuse(_ id: String) { entries.withLock { $0[id]?.open = nil } }

    var received: Counts { counts.withLock { $0 } }

    /// Sentences about what differs from what was promised, and settles what was open by what was found.
    func differences(from found: [String: String]) -> [String] {
        entries.withLock { entries in
            var sentences: [String] = []
            for (id, entry) in entries {
                if let sentence = Ledger.difference(entry, found[id]) {
                    sentences.append("\(id): \(sentence)")
                }
                entries[id] = Entry(acknowledged: found[id], open: nil)
            }
            return sentences
        }
    }

    static func difference(_ entry: Entry, _ found: String?) -> String? {
        if found == entry.acknowledged { return nil }
        switch (entry.open, found) {
        case (.delete, nil): return nil
        case (.update(let wished), .some(let found)) where wished == found: return nil
        case (_, nil): return "acknowledged as '\(entry.acknowledged ?? "")', but it is gone"
        case (_, .some(let found)):
            guard let acknowledged = entry.acknowledged else {
                return "its deletion was acknowledged, but it is there as '\(found)'"
            }
            return "acknowledged as '\(acknowledged)', but found as '\(found)'"
        }
    }

    /// A VIM of a caller that is registered, as far as is known.
    func isRegistered(_ id: String) -> Bool { entries.withLock { $0[id]?.acknowledged != nil } }
}
