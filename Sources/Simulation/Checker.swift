import PairProtocol

/// What must hold after every step; the numbers are those of Design.md, "The pair's protocol".
struct Checker: Sendable {
    /// Everything that was ever acknowledged, in order.
    private(set) var acknowledged: [SimulatedBatch] = []
    private var epoch: UInt64 = 0
    private var wanted = WantedActions()
    /// When an action ceased to be wanted, as its caller was told.
    private var staleSince: [Int: Duration] = [:]
    private(set) var violation: String?

    mutating func fail(_ what: String) {
        if violation == nil { violation = what }
    }

    var end: UInt64 { acknowledged.last?.end.position ?? 0 }

    /// A leader acknowledges everything up to a position.
    mutating func acknowledge(
        upTo position: UInt64, epoch: UInt64, by node: SimulatedNode, _ contents: [Content], at now: Duration
    ) {
        guard let count = (node.log.lastIndex { $0.end.position == position }).map({ $0 + 1 }) else {
            return fail("position \(position) is acknowledged before it is durable on the leader")
        }
        if epoch >= self.epoch {
            self.epoch = epoch
            if let last = acknowledged.last, !node.has(last.end, at: acknowledged.count - 1) {
                return fail(
                    "what was acknowledged up to position \(last.end.position) is missing on the leader of "
                        + "epoch \(epoch)")
            }
            guard count > acknowledged.count else { return }
            for batch in node.log[acknowledged.count..<count] { take(batch, contents, at: now) }
        } else if count > acknowledged.count || acknowledged[count - 1].end != node.log[count - 1].end {
            // A slow leader may only repeat what the history says anyway.
            fail("position \(position) is acknowledged by epoch \(epoch), and another by epoch \(self.epoch)")
        }
    }

    private mutating func take(_ batch: SimulatedBatch, _ contents: [Content], at now: Duration) {
        acknowledged.append(batch)
        guard case .operations(let operations) = contents[batch.content] else { return }
        for operation in operations {
            let current = wanted[operation.vim]
            switch operation.kind {
            case .assign:
                staleSince[current] = min(staleSince[current] ?? now, now)
                wanted.assign(operation.action, to: operation.vim)
            case .report(let isWanted):
                if isWanted, let since = staleSince[operation.action], since <= operation.began {
                    fail("action \(operation.action) was answered as the wanted one after another was")
                }
                if isWanted != (operation.action == current) {
                    fail("the answer to action \(operation.action) is not what the log's order says")
                }
            }
        }
    }

    /// A standby takes everything up to a position for acknowledged.
    mutating func learn(_ position: UInt64, by node: SimulatedNode) {
        guard let index = acknowledged.lastIndex(where: { $0.end.position == position }) else {
            return fail("position \(position) is taken for acknowledged, and is not")
        }
        if !node.has(acknowledged[index].end, at: index) {
            fail("position \(position) is taken for acknowledged by a log that has another batch there")
        }
    }

    /// Whoever stands in `insync` holds everything acknowledged.
    mutating func checkMembers(_ nodes: [SimulatedNode], insync: EtcdSnapshot.Insync?) {
        guard let insync, let last = acknowledged.last else { return }
        for index in nodes.indices where insync.members.contains(nodes[index].identity) {
            if !nodes[index].has(last.end, at: acknowledged.count - 1) {
                fail("a member of insync lacks what was acknowledged up to position \(last.end.position)")
            }
        }
    }

    /// A read is answered from what a node shows.
    mutating func read(shown: UInt64, by epoch: UInt64) {
        if shown < end { fail("a read by epoch \(epoch) shows position \(shown), acknowledged was \(end)") }
        if shown > end { fail("a read by epoch \(epoch) shows position \(shown), which nobody acknowledged") }
    }
}
