import Registry

/// Which workers there are: those that announced themselves lately.
///
/// It decides who gets how much, never whether an action lives: that only its reports show.
struct WorkerRoster {
    /// A worker and when it was last heard.
    struct Entry {
        var facts: WorkerFacts
        var heardAt: Duration
        var session: String
    }

    /// A worker that was silent for so many of its intervals is forgotten.
    static let silentIntervalMax = 3

    /// So long is a silent worker remembered.
    let memory: Duration
    private let epoch: UInt64
    private var sessionCount = 0
    private(set) var workers: [WorkerID: Entry] = [:]

    /// - Parameters:
    ///   - announceInterval: workers announce themselves so often.
    ///   - epoch: the conductor's; makes session names unlike those of other conductors.
    init(announceInterval: Duration, epoch: UInt64) {
        self.epoch = epoch
        // Never so short that a busy machine loses somebody.
        memory = max(announceInterval * WorkerRoster.silentIntervalMax, .seconds(3))
    }

    /// A worker announced itself; true if it is new.
    mutating func heard(_ facts: WorkerFacts, now: Duration) -> Bool {
        if workers[facts.id] != nil {
            workers[facts.id]?.facts = facts
            workers[facts.id]?.heardAt = now
            return false
        }
        sessionCount += 1
        workers[facts.id] = Entry(facts: facts, heardAt: now, session: "\(epoch).\(sessionCount)")
        return true
    }

    /// Nobody could be heard until now.
    mutating func excuseSilence(now: Duration) {
        for id in workers.keys { workers[id]?.heardAt = now }
    }

    /// A worker said goodbye.
    mutating func left(_ id: WorkerID) -> WorkerFacts? { workers.removeValue(forKey: id)?.facts }

    /// Forgets, and returns, those who were silent too long.
    mutating func forgetSilent(now: Duration) -> [WorkerFacts] {
        let silent = workers.values.filter { now - $0.heardAt > memory }.map(\.facts)
        for facts in silent { workers[facts.id] = nil }
        return silent
    }

    func isThere(_ id: WorkerID) -> Bool { workers[id] != nil }
}
