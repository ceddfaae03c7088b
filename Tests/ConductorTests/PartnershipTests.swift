import Conductor
import EventLog
import Identity
import Projections
import Registry
import Samples
import Synchronization
import Testing

@Suite("A conductor that leads a pair", .timeLimit(.minutes(10)))
struct PartnershipTests {
    @Test("Nobody is answered, and nothing shown, before the pair has it")
    func acknowledged() async throws {
        try await withLeader { leader, partner in
            let waiting = registration(.sample("a"), by: leader)
            try await partner.waitForHead(3)
            #expect(leader.registeredVIMs().isEmpty)
            // Not all of its batch.
            leader.acknowledge(upTo: 2)
            #expect(leader.registeredVIMs().isEmpty)
            leader.acknowledge(upTo: 3)
            let vim = try await waiting.value.get()
            #expect(leader.registeredVIMs() == [vim])
        }
    }

    @Test("What was acknowledged early is answered as soon as it is stored")
    func early() async throws {
        try await withLeader { leader, partner in
            partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
            for number in 0..<50 { _ = try await leader.register(.sample("vim-\(number)"), actor: ada) }
            #expect(leader.registeredVIMs().count == 50)
        }
    }

    @Test("A refusal that rests on what is not acknowledged waits for it, too")
    func refusal() async throws {
        try await withLeader { leader, partner in
            let first = registration(.sample("a"), by: leader)
            try await partner.waitForHead(3)
            let second = registration(.sample("a"), by: leader)
            try await partner.waitForHead(4)
            leader.acknowledge(upTo: 4)
            _ = try await first.value.get()
            await #expect(throws: CommandFailure.refused(.nameTaken("a"))) { try await second.value.get() }
        }
    }

    @Test("What a caller's thread stored is answered when the pair has it, and not before")
    func storedByCaller() async throws {
        try await withLeader { leader, partner in
            partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
            let vim = try await leader.register(.sample("a"), actor: ada)
            partner.acknowledgesAtOnce.store(false, ordering: .relaxed)
            let report = Command.report(.init(id: vim.id, status: .reachable, actionID: vim.actionID))
            for _ in 0..<20 {
                let before = partner.head
                let answerCount = Atomic(0)
                leader.submit([report, report], mayBlock: true) {
                    answerCount.add($0.count, ordering: .relaxed)
                }
                try await partner.waitForHead(before + 2)
                #expect(answerCount.load(ordering: .relaxed) == 0)
                leader.acknowledge(upTo: before + 2)
                try await eventually("they are answered") { answerCount.load(ordering: .relaxed) == 2 }
            }
        }
    }

    @Test("A lost lead leaves the outcome of what is stored unknown, and the rest undone")
    func abandoned() async throws {
        try await withLeader { leader, partner in
            let stored = registration(.sample("a"), by: leader)
            try await partner.waitForHead(3)
            leader.abandon()
            await #expect(throws: CommandFailure.outcomeUnknown) { try await stored.value.get() }
            await #expect(throws: CommandFailure.notLeading) {
                _ = try await leader.register(.sample("b"), actor: ada)
            }
            leader.acknowledge(upTo: 3)
            #expect(leader.registeredVIMs().isEmpty)
        }
    }

    @Test("What the pair refuses is undone, and what comes later is decided without it")
    func refused() async throws {
        try await withLeader { leader, partner in
            partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
            partner.refuses.store(true, ordering: .relaxed)
            await #expect(throws: CommandFailure.notLeading) {
                _ = try await leader.register(.sample("a"), actor: ada)
            }
            partner.refuses.store(false, ordering: .relaxed)
            let vim = try await leader.register(.sample("a"), actor: ada)
            #expect(leader.registeredVIMs() == [vim])
        }
    }

    @Test("A commit that fails behind one that waits takes back itself alone")
    func failure() async throws {
        try await withLeader(mapByteCount: 1 << 19) { leader, partner in
            let first = registration(.sample("a"), by: leader)
            try await partner.waitForHead(3)
            var failure: CommandFailure?
            do throws(CommandFailure) {
                let large = String(repeating: "x", count: 700_000)
                _ = try await leader.register(.sample("b", description: large), actor: ada)
            } catch { failure = error }
            guard case .notStored = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            #expect(partner.failureCount.load(ordering: .relaxed) == 1)
            let third = registration(.sample("c"), by: leader)
            try await partner.waitForHead(5)
            leader.acknowledge(upTo: 5)
            let names = [try await first.value.get(), try await third.value.get()].map(\.configuration.name)
            #expect(names == ["a", "c"])
        }
    }

    @Test("Only what the pair has acknowledged is archived, and the last batch of that stays")
    func archives() async throws {
        try await withLeader { leader, partner in
            partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
            for name in ["a", "b"] { _ = try await leader.register(.sample(name), actor: ada) }
            partner.acknowledgesAtOnce.store(false, ordering: .relaxed)
            let waiting = registration(.sample("c"), by: leader)
            try await partner.waitForHead(7)
            async let archived = leader.archive(before: .systemNow.advanced(by: .seconds(60)))
            try await partner.waitForHead(8)
            leader.acknowledge(upTo: 8)
            _ = try await waiting.value.get()
            // Of the batches 1, 2 to 3, and 4 to 5 that were acknowledged.
            #expect(try await archived.archivedEnd == 3)
        }
    }

    @Test("What the pair drops goes when the event that tells of it is acknowledged, and not before")
    func drops() async throws {
        try await withTemporaryDirectory { directory in
            try await withLeader(in: directory) { leader, partner in
                let end = try await archiveSome(by: leader, partner)
                let (head, history) = (try #require(leader.head?.position), leader.history(of: nil).count)
                async let dropped = leader.drop(upTo: end, actor: ada)
                try await partner.waitForHead(head + 1)
                #expect(leader.droppedHistory() == nil && leader.history(of: nil).count == history)
                leader.acknowledge(upTo: head + 1)
                #expect(try await dropped.droppedEnd == end)
                #expect(leader.droppedHistory()?.lastPosition == end)
                #expect(leader.history(of: nil).count < history)
                #expect(leader.registeredVIMs().count == 2)
                // Orderly: who loses the lead may not come to the checkpoint.
                await leader.stop()
            }
            let log = try EventLog(directory: directory, access: .read)
            // A restart needs nothing that is archived.
            let checkpoint = try #require(try log.readCheckpoint())
            #expect(checkpoint.position > (try log.archivedEnd()))
            #expect(try Replay(of: log, verifyingSeals: true).table.registeredCount == 2)
        }
    }

    @Test("A lead that is lost before leaves everything; whoever leads with the event carries it out")
    func lostDrop() async throws {
        try await withTemporaryDirectory { directory in
            var end: UInt64 = 0
            try await withLeader(in: directory) { leader, partner in
                end = try await archiveSome(by: leader, partner)
                let head = try #require(leader.head?.position)
                let last = end
                let dropping = Task { () -> CommandFailure? in
                    do throws(CommandFailure) {
                        _ = try await leader.drop(upTo: last, actor: ada)
                        return nil
                    } catch { return error }
                }
                try await partner.waitForHead(head + 1)
                leader.abandon()
                #expect(await dropping.value == .outcomeUnknown)
            }
            let log = try EventLog(directory: directory, access: .write)
            #expect(try log.droppedPart() == nil && log.archivedSegments().map(\.lastPosition) == [end])
            let partner = Partner()
            partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
            let options = Conductor.Options(directory: directory)
            let leader = try Conductor(
                leading: log, from: try Replay(of: log).table, epoch: 8, options, with: partner, logger: quiet
            )
            partner.leader.withLock { $0 = leader }
            try await leader.beginEpoch(options)
            await leader.carryOutToldDrop(logger: quiet)
            #expect(try log.droppedPart()?.lastPosition == end && log.archivedSegments() == [])
            // When it is done, there is nothing to do.
            let part = try log.droppedPart()
            await leader.carryOutToldDrop(logger: quiet)
            #expect(try log.droppedPart() == part && log.beginArchiving())
            leader.abandon()
            await leader.stop()
            partner.leader.withLock { $0 = nil }
        }
    }

    /// Two VIMs, of which the first is archived; returns where that ends.
    private func archiveSome(by leader: Conductor, _ partner: Partner) async throws -> UInt64 {
        partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
        defer { partner.acknowledgesAtOnce.store(false, ordering: .relaxed) }
        for name in ["a", "b"] { _ = try await leader.register(.sample(name), actor: ada) }
        let archived = try await leader.archive(before: .systemNow.advanced(by: .seconds(60)))
        #expect(archived.archivedEnd == 3)
        return archived.archivedEnd
    }

    @Test("The other node is told the next master key before it gets what is wrapped under it")
    func rotation() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/master.key"
            try await withLeader(in: directory) { leader, partner in
                partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
                let id = try await leader.register(.sample("a"), actor: ada).id
                let old = try #require(try MasterKey(reading: file)).fingerprintText
                partner.words.withLock { $0 = [] }
                let report = try await leader.rotateMasterKey(actor: ada)
                let new = report.toFingerprint
                #expect(report.fromFingerprint == old && report.dataKeyCount == 1)
                #expect(partner.words.withLock { $0 } == ["begins \(new)", "keys \(new)", "ends in use"])
                #expect(try await leader.credentials(of: id) == PlainCredentials.sample(password).whole)
                #expect(try MasterKey(reading: file)?.fingerprintText == new)

                // A node that could not take the key over is not left with a vault that it cannot open.
                partner.fault.withLock { $0 = RotationFault("upgrade it") }
                partner.words.withLock { $0 = [] }
                await #expect(throws: RotationFault("upgrade it")) {
                    try await leader.rotateMasterKey(actor: ada)
                }
                partner.fault.withLock { $0 = nil }
                // Nor is a key in use whose commit the pair refused.
                partner.refuses.store(true, ordering: .relaxed)
                let fault = await #expect(throws: RotationFault.self) {
                    try await leader.rotateMasterKey(actor: ada)
                }
                #expect(fault?.sentence.contains("still the old one") == true, "\(fault?.sentence ?? "")")
                partner.refuses.store(false, ordering: .relaxed)
                #expect(partner.words.withLock { $0.last } == "ends")
                #expect(try MasterKey(reading: file)?.fingerprintText == new)
                #expect(try await leader.credentials(of: id) == PlainCredentials.sample(password).whole)
            }
            // Whoever leads next finds the key, whatever was left beside it.
            let log = try EventLog(directory: directory, access: .write)
            let vault = try log.vaultEntries().compactMap(\.value)
            let key = try #require(try MasterKey(reading: file))
            #expect(CredentialVault.fingerprintTexts(of: vault) == [key.fingerprintText])
        }
    }

    @Test("A leader that lost its lead while it rotated leads again with the key that its vault is under")
    func lostRotation() async throws {
        try await withTemporaryDirectory { directory in
            var fault: RotationFault?
            try await withLeader(in: directory) { leader, partner in
                partner.acknowledgesAtOnce.store(true, ordering: .relaxed)
                _ = try await leader.register(.sample("a"), actor: ada)
                partner.acknowledgesAtOnce.store(false, ordering: .relaxed)
                let position = try #require(leader.head?.position)
                let rotation = Task { () -> RotationFault? in
                    do throws(RotationFault) {
                        _ = try await leader.rotateMasterKey(actor: ada)
                        return nil
                    } catch { return error }
                }
                try await partner.waitForHead(position + 1)
                leader.abandon()
                fault = await rotation.value
            }
            #expect(fault?.sentence.contains("lost the lead") == true, "\(fault?.sentence ?? "")")
            let log = try EventLog(directory: directory, access: .write)
            let table = try Replay(of: log).table
            let leader = try Conductor(
                leading: log, from: table, epoch: 8, Conductor.Options(directory: directory), with: Partner(),
                logger: quiet)
            let id = try #require(table.allVIMs.map(\.id).first)
            #expect(try await leader.credentials(of: id) == PlainCredentials.sample(password).whole)
            leader.abandon()
            await leader.stop()
        }
    }

    @Test("The table that a stopped leader leaves is a fold of its log")
    func checkpoint() async throws {
        try await withTemporaryDirectory { directory in
            try await withLeader(in: directory) { leader, partner in
                let stored = registration(.sample("a"), by: leader)
                try await partner.waitForHead(3)
                await leader.stop()
                await #expect(throws: CommandFailure.self) { try await stored.value.get() }
            }
            let log = try EventLog(directory: directory, access: .read)
            let checkpoint = try #require(try log.readCheckpoint())
            #expect(checkpoint.position == 3)
            let tables = [try Replay(of: log, from: checkpoint).table, try Replay(of: log).table]
            #expect(Array(tables[0].allVIMs) == Array(tables[1].allVIMs))
        }
    }

    /// A registration that waits.
    private func registration(
        _ vim: NewVIM, by leader: Conductor
    ) -> Task<Result<VIM, CommandFailure>, Never> {
        Task {
            do throws(CommandFailure) { return .success(try await leader.register(vim, actor: ada)) } catch {
                return .failure(error)
            }
        }
    }

    private func withLeader(
        mapByteCount: Int = Limits.mapByteCount, _ body: (Conductor, Partner) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory {
            try await withLeader(in: $0, mapByteCount: mapByteCount, body)
        }
    }

    /// A leader of epoch 7 whose first batch is acknowledged.
    private func withLeader(
        in directory: String, mapByteCount: Int = Limits.mapByteCount,
        _ body: (Conductor, Partner) async throws -> Void
    ) async throws {
        let log = try EventLog(directory: directory, access: .write, mapByteCount: mapByteCount)
        let partner = Partner()
        let options = Conductor.Options(directory: directory)
        let leader = try Conductor(
            leading: log, from: VIMTable(), epoch: 7, options, with: partner, logger: quiet)
        partner.leader.withLock { $0 = leader }
        async let begun: Void = leader.beginEpoch(options)
        try await partner.waitForHead(1)
        leader.acknowledge(upTo: 1)
        try await begun
        do { try await body(leader, partner) } catch {
            await leader.stop()
            throw error
        }
        leader.abandon()
        await leader.stop()
        partner.leader.withLock { $0 = nil }
    }
}

/// The other side of a leader.
private final class Partner: Partnership {
    let leader = Mutex<Conductor?>(nil)
    let acknowledgesAtOnce = Atomic<Bool>(false)
    let refuses = Atomic<Bool>(false)
    let failureCount = Atomic<Int>(0)
    /// What it was told of rotations, and of the master keys of the data keys that came.
    let words = Mutex<[String]>([])
    /// Why it could not follow a rotation.
    let fault = Mutex<RotationFault?>(nil)
    private let position = Atomic<UInt64>(0)

    /// What is durable at the leader.
    var head: UInt64 { position.load(ordering: .acquiring) }

    func gather(_ batch: BatchBuilder, vault: [VaultChange]) -> Bool {
        let keys = CredentialVault.fingerprintTexts(of: vault.compactMap(\.value)).sorted()
        if !keys.isEmpty { words.withLock { $0.append("keys " + keys.joined(separator: " ")) } }
        return !refuses.load(ordering: .relaxed)
    }

    func checkRotation() throws(RotationFault) {
        if let fault = fault.withLock({ $0 }) { throw fault }
    }

    func rotationBegins(to next: MasterKey, isInUse: Bool) {
        words.withLock { $0.append("begins \(next.fingerprintText)" + (isInUse ? " in use" : "")) }
    }

    func rotationEnds(isInUse: Bool) { words.withLock { $0.append("ends" + (isInUse ? " in use" : "")) } }

    func stored(_ head: Head) {
        position.store(head.position, ordering: .releasing)
        if acknowledgesAtOnce.load(ordering: .relaxed) {
            leader.withLock { $0 }?.acknowledge(upTo: head.position)
        }
    }

    func storeFailed() { failureCount.add(1, ordering: .relaxed) }

    func waitForHead(_ position: UInt64) async throws {
        let end = ContinuousClock.now + .seconds(120)
        while self.position.load(ordering: .acquiring) < position {
            try #require(
                ContinuousClock.now < end, "the head is at \(self.position.load(ordering: .relaxed))")
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
