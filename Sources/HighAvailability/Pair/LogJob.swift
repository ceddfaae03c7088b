import PairProtocol

/// What a node's log thread is asked to do.
enum LogJob: Sendable {
    /// Append batches that the leader sent.
    case store([ShippedBatch])
    /// Make a conductor that begins this epoch.
    case begin(epoch: UInt64)
    /// Move all behind a mark to a side file.
    case cut(Mark)
    /// Some ends of batches for the standby's question.
    case collect(question: UInt64, above: UInt64, upTo: UInt64)
    /// Which of these ends has the durable log, too?
    case compare(Session, question: UInt64, [Mark])
    /// Send stored batches behind a position.
    case ship(Session, after: UInt64)
    /// Enter a segment, or what stands for dropped events, that was made of what the log said then.
    case enter(StandbyArchiver.Work, generation: Int)
    /// Look whether anything is to be archived or dropped.
    case lookAround
    /// Keep what was seen of etcd.
    case remember(EtcdMemory)

    /// Whether it changes the log's events, so that it is given up when the node settles.
    var isWrite: Bool {
        switch self {
        case .store, .begin, .cut: true
        case .collect, .compare, .ship, .enter, .lookAround, .remember: false
        }
    }
}

extension RunningNode.State {
    /// At most so many bytes of batches are stored in one commit.
    private static let commitByteMax = 4 << 20

    /// Takes the next job, a write only if none is in hand.
    ///
    /// Batches that wait behind each other share a commit.
    mutating func takeJob() -> LogJob? {
        guard let first = jobs.first, !(first.isWrite && isWriteInHand) else { return nil }
        jobs.removeFirst()
        if first.isWrite { isWriteInHand = true }
        switch first {
        case .begin:
            isBeginHeld = true
            return first
        case .store(var batches):
            var (count, byteCount) = (0, batches.reduce(0) { $0 + $1.bytes.count })
            while byteCount < RunningNode.State.commitByteMax, count < jobs.count,
                case .store(let more) = jobs[count]
            {
                count += 1
                batches += more
                byteCount += more.reduce(0) { $0 + $1.bytes.count }
            }
            // Together: one by one, each would move all that wait behind it.
            jobs.removeFirst(count)
            return .store(batches)
        default: return first
        }
    }
}
