import EventLog
import Projections
import Recording
import Registry
import Samples
import Synchronization
import Testing

@testable import Auditing

@Suite("The verifier's state")
struct StateTests {
    /// The table and the seal at the end of each batch.
    private typealias Moments = [(table: VIMTable, seal: Seal)]

    @Test("Wherever a checkpoint stands, it equals what the stretches lead to")
    func anywhere() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (moments, keys) = try record(400, in: directory, using: &random)
            let chosen = [moments[0], moments[1]] + moments.shuffled(using: &random).prefix(40)
            for moment in chosen {
                try store(moment.table.checkpoint(seal: moment.seal), in: directory)
                let length = ([1, 5, 64, 1 << 18] as [UInt64]).randomElement(using: &random) ?? 1
                #expect(
                    faults(in: directory, keys: keys, stretchLength: length) == [],
                    "SEED=\(runSeed), position \(moment.table.position), length \(length)")
            }
        }
    }

    @Test("A checkpoint that says what the events do not, or that has another seal, is told")
    func altered() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (moments, keys) = try record(100, in: directory, using: &random)
            let middle = moments[moments.count / 2]
            // One report more, at the place of the one before.
            var later = middle.table
            let vim = try #require(later.allVIMs.first { $0.isRegistered })
            let report = VIMStatusReported(
                actionID: vim.actionID, status: vim.status == .reachable ? .unreachable : .reachable,
                verdict: .accepted, finding: .unstated)
            try later.apply(
                report, stream: vim.stream, position: later.position + 1, time: Timestamp(microseconds: 1))
            var altered = later.checkpoint(seal: middle.seal)
            altered.position = middle.table.position
            try store(altered, in: directory)
            #expect(
                faults(in: directory, keys: keys).contains { $0.contains("differs from a replay (first: ") })

            try store(middle.table.checkpoint(seal: moments[0].seal), in: directory)
            #expect(faults(in: directory, keys: keys).contains { $0.contains("another history") })
        }
    }

    @Test("An event that cannot follow is a damage at its position")
    func cannotFollow() throws {
        try withTemporaryDirectory { directory in
            let position: UInt64
            do {
                var recorder = try Recorder(directory)
                try recorder.run(.sampleRegistration(1, name: "site"))
                try recorder.commit()
                position = recorder.log.head.position + 1
                let started = EpochStarted(epoch: 2, version: "test", host: "here", processID: 1)
                Event.epochStarted(started).withPayload { format, payload in
                    recorder.smuggle(
                        type: EventType.epochStarted.rawValue, format: format, stream: 1,
                        previous: position - 1, payload: Array(payload))
                }
                try recorder.commit()
            }
            let damage = try Verifier(directory: directory).run().damage
            #expect(damage?.position == position)
            #expect(damage?.sentence == "conductor.epoch_started in a VIM's stream")
        }
    }

    @Test("A key that outlived its VIM is told")
    func outlived() throws {
        try withTemporaryDirectory { directory in
            let key = VaultChange(key: VIMID.sample(1).value.bytes, value: [1])
            do {
                var recorder = try Recorder(directory)
                try recorder.run(.sampleRegistration(1, name: "site"))
                recorder.vault.append(key)
                try recorder.commit()
                try recorder.run(deregister(1))
                try recorder.commit()
            }
            #expect(
                faults(in: directory, keys: [.sample(1): [1]])
                    == ["the data key of VIM \(VIMID.sample(1)) outlived its deregistration"])
        }
    }

    @Test("What is committed meanwhile is not looked at: its keys are not among those that were read")
    func meanwhile() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            let (moments, keys) = try record(100, in: directory, using: &random)
            let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
            let (before, table) = (log.head, try #require(moments.last?.table))
            let isDone = Mutex(false)
            let report = Verifier(of: log, workerCount: 1, stretchLength: before.position / 2).run {
                id, key in
                keys[id] == key ? nil : "altered"
            } progress: { _, _ in
                isDone.withLock { isDone in
                    if !isDone { isDone = (try? register(99, on: table, in: log)) != nil }
                }
            }
            #expect(isDone.withLock { $0 } && log.head.position > before.position)
            #expect(report.head == before && report.damage == nil && report.state?.faults == [])
        }
    }

    /// Appends a registration, with its key.
    private func register(_ number: UInt64, on table: VIMTable, in log: EventLog) throws {
        var batch = BatchBuilder(firstPosition: log.head.position + 1, time: log.head.time + 1)
        var previous: UInt64 = 0
        for addressed in decide(.sampleRegistration(number, name: "late"), on: table).events {
            previous = addressed.event.withPayload { format, payload in
                batch.append(
                    stream: addressed.stream, previousInStream: previous, type: addressed.event.type.rawValue,
                    format: format, payload: payload)
            }
        }
        let key = VaultChange(key: VIMID.sample(number).value.bytes, value: [1])
        _ = try log.append(&batch, epoch: 1, vault: [key])
    }

    private func store(_ checkpoint: Checkpoint, in directory: String) throws {
        try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30).write(checkpoint)
    }

    /// Reports that change and repeat, refused ones, new endpoints and new actions, in small batches.
    private func record(
        _ commandCount: Int, in directory: String, using random: inout SeededGenerator
    ) throws -> (Moments, keys: [VIMID: [UInt8]]) {
        var recorder = try Recorder(directory)
        var moments: Moments = []
        var keys: [VIMID: [UInt8]] = [:]
        for number in 1...UInt64(4) {
            try recorder.run(.sampleRegistration(number, name: "site-\(number)"))
            keys[.sample(number)] = [1]
            recorder.vault.append(VaultChange(key: VIMID.sample(number).value.bytes, value: [1]))
        }
        for number in 0..<UInt64(commandCount) {
            let vim = UInt64.random(in: 1...4, using: &random)
            let action = recorder.table.vim(.sample(vim))?.actionID ?? .sample(0)
            switch UInt8.random(in: 0..<12, using: &random) {
            case 0:
                try recorder.run(
                    update(vim, action: 10_000 + number) { $0.authURL = "http://127.0.0.1:\(number)/v3" })
            case 1: try recorder.run(update(vim, action: 10_000 + number) { $0.description = "\(number)" })
            case 2: try recorder.run(report(vim, action: 77, .reachable))
            case 3: try recorder.run(report(99_999, action: 1, .reachable))
            default:
                let isUp = UInt8.random(in: 0..<4, using: &random) > 0
                let finding = ProbeFinding(.answered, detail: 200, roundTripMicroseconds: UInt32(number))
                try recorder.run(
                    .report(
                        StatusReport(
                            id: .sample(vim), status: isUp ? .reachable : .unreachable, actionID: action,
                            finding: finding)))
            }
            if UInt8.random(in: 0..<3, using: &random) == 0 {
                try recorder.commit()
                moments.append((recorder.table, recorder.log.head.seal))
            }
        }
        try recorder.commit()
        moments.append((recorder.table, recorder.log.head.seal))
        return (moments, keys)
    }
}
