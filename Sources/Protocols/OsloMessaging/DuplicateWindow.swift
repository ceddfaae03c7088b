/// The last message ids, to tell the second copy of a message that its sender sent twice.
///
/// Senders repeat what they are not sure of at once, so sixteen are enough; oslo.messaging keeps as many.
struct DuplicateWindow {
    private static let count = 16
    /// Each with its hash, since nearly all differ in that.
    private var ids: [(hash: Int, id: String)] = []
    private var next = 0

    /// Whether an id is new; it is remembered then.
    ///
    /// No id is always new.
    mutating func admit(_ id: String) -> Bool {
        if id.isEmpty { return true }
        let hash = id.hashValue
        if ids.contains(where: { $0.hash == hash && $0.id == id }) { return false }
        if ids.count < DuplicateWindow.count {
            ids.append((hash, id))
        } else {
            ids[next] = (hash, id)
            next = (next + 1) % DuplicateWindow.count
        }
        return true
    }

    /// Forgets an id: its message was not answered, and will come again.
    mutating func forget(_ id: String) {
        if let index = ids.firstIndex(where: { $0.id == id }) { ids[index].id = "" }
    }
}
