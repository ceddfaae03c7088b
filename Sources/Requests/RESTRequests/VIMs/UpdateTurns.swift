import Registry

/// Lets the updates of one VIM follow each other, first come, first served.
///
/// An update reads the VIM, may ask the cloud itself, and then changes what it read; many at once would only
/// refuse each other, and ask the cloud again and again. Other writers are still met by the version.
actor UpdateTurns {
    /// Who waits, by VIM; an entry without waiters says that one is under way.
    private var waiting: [VIMID: [CheckedContinuation<Void, Never>]] = [:]

    /// Returns when it is the caller's turn; ``end(_:)`` is then owed.
    func begin(_ id: VIMID) async {
        guard waiting[id] != nil else {
            waiting[id] = []
            return
        }
        await withCheckedContinuation { waiting[id, default: []].append($0) }
    }

    /// Gives the turn to the next, if anybody waits.
    func end(_ id: VIMID) {
        guard var queue = waiting[id], !queue.isEmpty else {
            waiting[id] = nil
            return
        }
        let next = queue.removeFirst()
        waiting[id] = queue
        next.resume()
    }
}
