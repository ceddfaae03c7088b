// Starts: etcd, with one and with three members.
import EtcdClient
import Harness
import PairProtocol
import Testing

@testable import PairEtcd

@Suite("The pair's keys in a real etcd")
struct PairEtcdTests {
    @Test("Each transaction is done or refused as the simulator's etcd does it, and shows the state after it")
    func transactions() async throws {
        try await withPairKeys { keys, _ in
            let client = keys.client
            let lease = try await client.grantLease(.seconds(60)).id
            func run(_ transaction: EtcdTransaction, _ log: LogIdentity = one) async throws -> EtcdAnswer {
                let answer = try await keys.run(transaction, as: log, lease: lease)
                // What a look from outside shows is what the transaction said.
                #expect(try await keys.snapshot() == answer.snapshot)
                return answer
            }
            let empty = try await run(.read)
            #expect(empty.isDone && empty.snapshot.leader == nil && empty.snapshot.insync == nil)
            #expect(try await !run(.take(insync: 5)).isDone)
            #expect(try await !run(.setInsync([one], epoch: 5, revision: 0)).isDone)
            #expect(try await !run(.release(epoch: 5)).isDone)

            let founded = try await run(.found)
            let epoch = founded.snapshot.revision.number
            #expect(epoch == empty.snapshot.revision.number + 1)
            #expect(founded.isDone && founded.snapshot.leader == .init(identity: one, epoch: epoch))
            #expect(founded.snapshot.insync == .init(members: [one], revision: epoch))
            #expect(founded.snapshot.revision.cluster == empty.snapshot.revision.cluster)
            let again = try await run(.found, two)
            #expect(!again.isDone && again.snapshot == founded.snapshot)

            // The guards of rule 13: another epoch, another revision.
            #expect(try await !run(.setInsync([one, two], epoch: epoch - 1, revision: epoch)).isDone)
            #expect(try await !run(.setInsync([one, two], epoch: epoch, revision: epoch - 1)).isDone)
            // In an etcd that was restored, another's key may have the same epoch.
            #expect(try await !run(.setInsync([two], epoch: epoch, revision: epoch), two).isDone)
            let grown = try await run(.setInsync([one, two], epoch: epoch, revision: epoch))
            #expect(grown.isDone && grown.snapshot.insync == .init(members: [one, two], revision: epoch + 1))
            #expect(grown.snapshot.leader == founded.snapshot.leader)
            // Put also if it reads so (rule 16).
            let same = try await run(.setInsync([one, two], epoch: epoch, revision: epoch + 1))
            #expect(same.isDone && same.snapshot.insync?.revision == epoch + 2)

            #expect(try await !run(.take(insync: epoch + 2), two).isDone)
            #expect(try await !run(.release(epoch: epoch + 1)).isDone)
            let released = try await run(.release(epoch: epoch))
            #expect(released.isDone && released.snapshot.leader == nil)
            #expect(released.snapshot.insync == same.snapshot.insync)

            #expect(try await !run(.take(insync: epoch + 1), two).isDone)
            let taken = try await run(.take(insync: epoch + 2), two)
            #expect(taken.isDone && taken.snapshot.leader == .init(identity: two, epoch: epoch + 4))
            try await client.revoke(lease)
            #expect(try await keys.snapshot().leader == nil)
            #expect(try await keys.snapshot().insync == same.snapshot.insync)
        }
    }

    @Test(
        "A lease that is gone: the take is refused, and done on the next one; when that ends, so does the key"
    )
    func goneLease() async throws {
        try await withPairKeys { keys, _ in
            let node = Node(keys, one, lease: .seconds(10))
            try await node.run {
                let first = try await node.leaseNumber(after: 0)
                node.etcd.publish(member)
                let id = try await leaseOfOnlyNode(keys)
                try await keys.client.revoke(id)
                // Refused or never sent, until there is a new lease; then done.
                let answer = try await eventually("the pair is founded") {
                    await node.answer(to: .found, patience: .milliseconds(500))
                }
                // The one before may have been done, and answered too late to be waited for.
                #expect(answer.snapshot.leader?.identity == one)
                #expect(try await node.leaseNumber(after: first) > first)
                let nodeLeases = try await keys.client.commit(then: [.list(prefix: "/vedette/p/")]).found[0]
                    .filter { !$0.key.hasSuffix("insync") }.map(\.lease)
                #expect(nodeLeases.allSatisfy { $0 != id && $0 != 0 })
            }
            // A clean stop gives the lease back, and with it the lead.
            #expect(try await keys.snapshot().leader == nil)
            #expect(try await keys.snapshot().insync?.members == [one])
        }
    }

    @Test("A lease stands from when its renewal was sent, and no longer than asked, nor than granted")
    func leaseEnds() async throws {
        try await withPairKeys { keys, _ in
            // etcd grants two seconds at least: one counts.
            for seconds in [1, 3] {
                let node = Node(keys, one, lease: .seconds(seconds), now: .seconds(100))
                try await node.run {
                    _ = try await node.leaseNumber(after: 0)
                    try await eventually("the lease is renewed") { node.inputs.count > 3 }
                    let ends = node.inputs.compactMap { input -> Duration? in
                        guard case .leaseHeld(1, let end) = input else { return nil }
                        return end
                    }
                    #expect(Set(ends) == [.seconds(100 + seconds)])
                }
            }
        }
    }

    @Test("A crashed node's key goes when its lease runs out, and not before; the other's take is done then")
    func crash() async throws {
        try await withPairKeys { keys, _ in
            let lease = try await keys.client.grantLease(.seconds(2)).id
            let first = try await keys.run(.found, as: one, lease: lease).snapshot.revision.number
            let other = Node(keys, one, lease: .seconds(60))
            try await other.run {
                let leader = try await eventually("the lead is taken") { () -> EtcdSnapshot.Leader? in
                    let answer = await other.answer(to: .take(insync: first), patience: .seconds(5))
                    guard let answer, let leader = answer.snapshot.leader, leader.epoch != first else {
                        return nil
                    }
                    #expect(!answer.isDone || leader.epoch == answer.snapshot.revision.number)
                    return leader
                }
                #expect(leader.epoch > first)
                #expect(try await keys.client.keepAlive(lease) == nil)
            }
        }
    }

    @Test(
        "Nothing is answered where the outcome is unknown: a majority is gone; it is back, and so are answers"
    )
    func majorityGone() async throws {
        try await withTemporaryDirectory { directory in
            try await withEtcd(directory: directory, nodes: 3) { etcd in
                try await withKeys(etcd.urls, timeout: .seconds(2)) { keys in
                    let node = Node(keys, one, lease: .seconds(10))
                    try await node.run {
                        _ = try await eventually("the pair is founded") {
                            await node.answer(to: .found, patience: .seconds(3))
                        }
                        try await etcd.nodes[0].kill9()
                        let afterOne = try await eventually("two members answer") {
                            await node.answer(to: .read, patience: .seconds(3))
                        }
                        #expect(afterOne.snapshot.insync?.members == [one])
                        try await etcd.nodes[1].kill9()
                        let count = node.answerCount
                        #expect(await node.answer(to: .release(epoch: 1), patience: .seconds(3)) == nil)
                        #expect(await node.answer(to: .read, patience: .seconds(3)) == nil)
                        #expect(node.answerCount == count)
                        try await etcd.nodes[0].start()
                        let back = try await eventually("a majority answers") {
                            await node.answer(to: .read, patience: .seconds(3))
                        }
                        #expect(back.snapshot.insync == afterOne.snapshot.insync)
                        #expect(back.snapshot.revision.cluster == afterOne.snapshot.revision.cluster)
                    }
                }
            }
        }
    }

    @Test("What a node tells of itself stands as long as its lease, and is put anew on a new one")
    func publishing() async throws {
        try await withPairKeys { keys, _ in
            let node = Node(keys, two, lease: .seconds(10))
            try await node.run {
                node.etcd.publish(member)
                try await expectMembers([two: member], keys)
                let lease = try await leaseOfOnlyNode(keys)
                try await keys.client.revoke(lease)
                try await expectMembers([two: member], keys)
                var changed = member
                changed.role = .leader
                node.etcd.publish(changed)
                try await expectMembers([two: changed], keys)
            }
            #expect(try await keys.members() == [:])
        }
    }

    @Test("A key that nobody of ours put is named, and nothing is answered from it")
    func foreignValues() async throws {
        try await withPairKeys { keys, _ in
            _ = try await keys.client.commit(then: [.put("/vedette/p/insync", Array("x".utf8), lease: 0)])
            let fault = await #expect(throws: PairEtcdFault.self) { try await keys.snapshot() }
            #expect(
                fault?.description == "the key /vedette/p/insync of etcd holds 'x', which no node of a pair "
                    + "of this version puts there. Give the pair a name that nobody else uses, or, if a "
                    + "later version did, upgrade this one")
            _ = try await keys.client.commit(then: [.put("/vedette/p/nodes/1", [], lease: 0)])
            await #expect(throws: PairEtcdFault.self) { try await keys.members() }
            let node = Node(keys, one, lease: .seconds(5))
            try await node.run {
                #expect(await node.answer(to: .read, patience: .seconds(1)) == nil)
            }
        }
    }

    @Test("A log is forgotten, but not the last one, the leader's, one that is no member, or in no pair")
    func forgetting() async throws {
        try await withPairKeys { keys, _ in
            func refusal(_ identity: LogIdentity) async -> PairEtcdFault? {
                do throws(PairEtcdFault) { try await keys.forget(identity) } catch { return error }
                return nil
            }
            #expect(await refusal(one) == .notFounded(pair: "p"))
            let lease = try await keys.client.grantLease(.seconds(60)).id
            let epoch = try await keys.run(.found, as: one, lease: lease).snapshot.revision.number
            #expect(await refusal(two) == .notInSync(two))
            #expect(await refusal(one) == .isLast(one))
            _ = try await keys.run(
                .setInsync([one, two], epoch: epoch, revision: epoch), as: one, lease: lease)
            #expect(await refusal(one) == .leads(one))
            #expect(await refusal(two) == nil)
            #expect(try await keys.snapshot().insync?.members == [one])
        }
    }

    @Test("etcd's revision is lifted above an epoch, never a second time, and not from too far below")
    func raising() async throws {
        try await withPairKeys { keys, etcd in
            let start = try await keys.snapshot().revision.number
            let revisions = Revisions()
            try await keys.raise(above: 1_500) { revisions.add($0) }
            let revision = try await keys.snapshot().revision.number
            // What is under way at once may go beyond, and the scratch key is removed.
            #expect(revision > 1_500 && revision < 1_600 && start < 10)
            #expect(revisions.all.count == 2 && revisions.all.last.map { $0 > 1_500 } == true)
            try await keys.raise(above: 1_500)
            #expect(try await keys.snapshot().revision.number == revision)
            #expect(try await etcd.control("get", "--prefix", "/vedette/") == [])
            await #expect(
                throws: PairEtcdFault.tooFarBelow(revision: revision, epoch: 1 << 40, changesMax: 1_000_000)
            ) {
                try await keys.raise(above: 1 << 40)
            }
        }
    }

    @Test("A pair's name is one part of a key")
    func names() async throws {
        let client = try EtcdClient(EtcdSettings(endpoints: ["http://127.0.0.1:1"]))
        for name in ["", "a/b", "ü", "a b", String(repeating: "a", count: 65)] {
            #expect(throws: PairEtcdFault.badName(name)) { try PairKeys(client, pair: name) }
        }
        #expect(throws: Never.self) { try PairKeys(client, pair: "Edge-1_a.b") }
        await client.shutdown()
    }

    private func expectMembers(_ members: [LogIdentity: PairMember], _ keys: PairKeys) async throws {
        try await eventually("etcd names \(members)") { try await keys.members() == members }
    }

    /// The lease that the only node published itself on.
    private func leaseOfOnlyNode(_ keys: PairKeys) async throws -> Int64 {
        try await eventually("the node is published") {
            try await keys.client.commit(then: [.list(prefix: "/vedette/p/nodes/")]).found[0].first?.lease
        }
    }
}

private let member = PairMember(
    name: "b", restAddress: "http://h:1", peerAddress: "h:2", version: "1", role: .standby, epoch: 3, end: 9,
    trouble: "no peer", time: 1)
