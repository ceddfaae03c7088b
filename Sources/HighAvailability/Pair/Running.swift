import Conductor
import EtcdClient
import EventLog
import Logging
import PairEtcd
import PairProtocol
import PairWire
import Registry
import Synchronization
import Threads

/// Takes what the wire and etcd deliver to the node, once there is one.
final class Inlet: Sendable {
    /// Until the node has stopped.
    let node = Mutex<RunningNode?>(nil)

    func take(_ input: PairInput) {
        guard let node = node.withLock({ $0 }) else { return }
        switch input {
        case .connected: node.greetPeer()
        case .disconnected: node.peer.withLock { $0 = nil }
        case .received(.ping), .received(.batch): node.hearLeader()
        case .received(.stored(_, let end, _)): if node.turnsAway(standbyAt: end) { return }
        default: break
        }
        node.give(input)
    }

    func greetPeer() { node.withLock { $0 }?.greetPeer() }

    func publish() { node.withLock { $0 }?.publish() }

    func refusal(of peer: PairGreeting) -> String? { node.withLock { $0 }?.refusal(of: peer) }
}

extension RunningNode {
    /// Works for the pair until the task is cancelled; to be called once.
    ///
    /// - Throws: ``PairFault`` if the node cannot listen for its peer.
    public func run() async throws {
        let thread = DedicatedThread(name: "vedette-log") { [self] in work() }
        let failure = await withTaskGroup(of: PairFault?.self) { group in
            group.addTask { [self] in
                do {
                    try await link.run()
                    return nil
                } catch { return PairFault("\(error)") }
            }
            group.addTask { [self] in
                await etcd.run()
                return nil
            }
            group.addTask { [self] in
                await tick()
                return nil
            }
            group.addTask { [self] in
                await heedWishes()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        await stop(thread)
        if let failure { throw failure }
    }

    /// Lets the peer lead, if it holds everything; returns when this node no longer leads, or gave up: within
    /// half a lease, or three where the peer was started a moment ago.
    public func handOver() async {
        give(.switchover)
        while state.withLock({ $0.core.isHandingOver }), !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Time passes: the node is told, and tells the world how it is.
    private func tick() async {
        await raiseRevision()
        let interval = settings.interval / 2
        while (try? await Task.sleep(for: interval)) != nil {
            give(.tick)
            publish()
        }
    }

    /// An operator may want the other node to lead (`vedette pair switchover`).
    private func heedWishes() async {
        while (try? await Task.sleep(for: .milliseconds(500))) != nil {
            guard state.withLock({ $0.isServing }) else { continue }
            // Where etcd does not answer there is nothing to heed; the node says so elsewhere.
            if let isWished = try? await keys.takeSwitchoverWish(of: identity), isWished {
                logger.notice("an operator wants the other node to lead")
                give(.switchover)
            }
        }
    }

    /// Tells what this node is, for people; now and then, and at once if it became something else.
    fileprivate func publish() {
        let (role, epoch) = state.withLock { state in
            let role: PairMember.Role =
                switch state.core.role {
                case .standby: .standby
                case .entering: .entering
                case .leader: .leader
                }
            return (role, state.core.epochLed ?? log.head.epoch)
        }
        let (now, key, copy) = (RunningNode.now, enclosure.fingerprint, giver.copy)
        let isDue = published.withLock { published in
            if let told = published, now - told.at <= .seconds(1),
                (told.role, told.key, told.bringsCopy) == (role, key, copy != nil)
            {
                return false
            }
            published = (role, key, copy != nil, now)
            return true
        }
        guard isDue else { return }
        enclosure.offerCopy(CopyOffer.isMade(of: log))
        var troubles: [String] = []
        if case .leaderless(let reason) = standing { troubles.append(reason) }
        if followsKeylessLeader {
            troubles.append("the other node leads, though it cannot reach etcd: by the promise of this one")
        }
        // Whoever is brought a copy has no link meanwhile.
        if let trouble, copy?.isWhole ?? true { troubles.append(trouble) }
        etcd.publish(
            PairMember(
                name: Conductor.hostName, restAddress: configuration.address,
                peerAddress: "\(configuration.wire.listen)", version: options.version, role: role,
                epoch: epoch, end: log.head.position,
                masterKey: key,
                trouble: troubles.isEmpty ? nil : troubles.joined(separator: "; "), copy: copy,
                time: Int64(clamping: options.now().microseconds)))
    }

    /// A log that was a single server's has epochs already, and those of the pair come from etcd's revision.
    private func raiseRevision() async {
        let epoch = log.head.epoch
        var isTold = false
        while !Task.isCancelled {
            do throws(PairEtcdFault) {
                return try await keys.raise(above: epoch)
            } catch {
                if !isTold {
                    logger.warning(
                        "etcd does not answer: nobody can lead yet", metadata: ["reason": "\(error)"])
                }
                isTold = true
                try? await Task.sleep(for: .milliseconds(250))
            }
        }
    }

    private func stop(_ thread: DedicatedThread) async {
        let conductor = state.withLock { state in
            state.isStopping = true
            return state.conductor
        }
        inlet.node.withLock { $0 = nil }
        conductor?.abandon()
        await conductor?.stop()
        let dropping = dropping.withLock { $0.take() }
        dropping?.cancel()
        await dropping?.value
        bell.ring()
        await withCheckedContinuation { continuation in
            // A thread waits for the thread, so that no cooperative one blocks.
            DedicatedThread(name: "vedette-stop") { [giver, archiver] in
                thread.join()
                giver.stop()
                archiver.stop()
                continuation.resume()
            }.detach()
        }
        await client.shutdown()
    }
}
