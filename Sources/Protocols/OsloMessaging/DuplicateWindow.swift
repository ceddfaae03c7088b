/// The last message ids, to tell the second copy of a message that its sender sent twice.
///
/// Senders repeat what they are not sure of at once, so sixteen are enough; oslo.messaging keeps as many.
struct DuplicateWindow {
    private static let count = 16
    private var ids: [String] = []
    private var next = 0

    /// Whether an id is new; it is remembered then.
    ///
    /// No id is always new.
    mutating func admit(_ id: String) -> Bool {
        if id.isEmpty { return true }
        if ids.contains(id) { return false }
        if ids.count < DuplicateWindow.count {
            ids.append(id)
        } else {
            ids[next] = id
            next = (next + 1) % DuplicateWindow.count
        }
        return true
    }

    /// Forgets an id: its message was not answered, and will come again.
    mutating func forget(_ id: String) {
        if let index = ids.firstIndex(of: id) { ids[index] = "" }
    }
}
