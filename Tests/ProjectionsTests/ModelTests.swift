import EventLog
import Projections
import Recording
import Registry
import Samples
import Testing

/// What a registry is, in the plainest words: used to judge decide, evolve and the table together.
private struct Model {
    struct Entry: Equatable {
        var name: String
        var tenant: String
        var url: String
        var isDefault: Bool
        var version: UInt32 = 1
        var status = VIMStatus.pending
        var action: UInt64
        var isRegistered = true
    }

    var entries: [UInt64: Entry] = [:]
    /// History, as number and kind.
    var history: [String] = []

    func holder(of name: String, tenant: String) -> UInt64? {
        entries.first { $0.value.isRegistered && $0.value.name == name && $0.value.tenant == tenant }?.key
    }

    func standing(of tenant: String) -> UInt64? {
        entries.first { $0.value.isRegistered && $0.value.isDefault && $0.value.tenant == tenant }?.key
    }

    func refusal(_ number: UInt64, name: String, isDefault: Bool, tenant: String) -> Refusal? {
        if isDefault, let other = standing(of: tenant), other != number {
            return .defaultExists(.sample(other))
        }
        if let other = holder(of: name, tenant: tenant), other != number { return .nameTaken(name) }
        return nil
    }
}

@Suite("The table against a model")
struct ModelTests {
    @Test(
        "Random commands: the table answers as the model does, and every way to make it gives the same rows")
    func random() throws {
        try withRecorder { recorder in
            var random = SeededGenerator(seed: runSeed)
            var model = Model()
            var past: [(position: UInt64, table: VIMTable)] = []
            var checkpoints: [Checkpoint] = []
            for step in 1...700 as ClosedRange<UInt64> {
                try play(step, &model, &recorder, &random)
                if UInt8.random(in: 0...3, using: &random) == 0 {
                    try recorder.commit()
                    past.append((recorder.table.position, recorder.table))
                    if UInt8.random(in: 0...20, using: &random) == 0 {
                        checkpoints.append(recorder.table.checkpoint(seal: recorder.log.head.seal))
                    }
                }
            }
            try recorder.commit()
            let (table, log) = (recorder.table, recorder.log)
            try compare(table, with: model)
            try chains(log)

            let replay = try Replay(of: log, verifyingSeals: true)
            #expect(replay.table.differences(from: table) == [], "SEED=\(runSeed)")
            #expect(replay.eventCount == table.position)
            // What a table takes in, it also takes in at a rehearsal, begun anywhere.
            try rehearse(log, from: VIMTable())
            for (_, then) in past.suffix(20) { try rehearse(log, from: then) }
            for checkpoint in checkpoints {
                let tail = try Replay(of: log, from: checkpoint, verifyingSeals: true)
                #expect(tail.checkpointPosition == checkpoint.position)
                #expect(tail.eventCount == table.position - checkpoint.position)
                #expect(tail.table.differences(from: table) == [], "SEED=\(runSeed)")
                try compare(tail.table, with: model)
            }
            let decoded = try #require(VIMTable(encoded: table.encoded(), position: table.position))
            #expect(decoded.differences(from: table) == [], "SEED=\(runSeed)")
            try compare(decoded, with: model)
            for (position, then) in past where UInt8.random(in: 0...9, using: &random) == 0 {
                let replay = try Replay(
                    of: log, from: checkpoints.randomElement(using: &random), upTo: position)
                #expect(replay.table.differences(from: then) == [], "SEED=\(runSeed)")
            }
        }
    }

    private func play(
        _ step: UInt64, _ model: inout Model, _ recorder: inout Recorder, _ random: inout SeededGenerator
    ) throws {
        let number = UInt64.random(in: 1...max(2, UInt64(model.entries.count)), using: &random)
        let name = "name-\(Int.random(in: 0...9, using: &random))"
        switch UInt8.random(in: 0...9, using: &random) {
        case 0, 1:
            let tenant = Bool.random(using: &random) ? "t" : "u"
            let isDefault = UInt8.random(in: 0...4, using: &random) == 0
            let answer = try recorder.run(
                .sampleRegistration(step, name: name, tenantID: tenant, isDefault: isDefault))
            if let refusal = model.refusal(0, name: name, isDefault: isDefault, tenant: tenant) {
                #expect(answer == .refused(refusal), "SEED=\(runSeed)")
            } else {
                #expect(answer == .vim(.sample(step)), "SEED=\(runSeed)")
                model.entries[step] = .init(
                    name: name, tenant: tenant, url: "http://127.0.0.1:5000/v3", isDefault: isDefault,
                    action: step)
                model.history.append("\(step) CREATE PENDING")
            }
        case 2, 3:
            let isDefault = [nil, true, false].randomElement(using: &random) ?? nil
            let rename = Bool.random(using: &random) ? name : nil
            let url = UInt8.random(in: 0...2, using: &random) == 0 ? "http://\(step)" : nil
            let answer = try recorder.run(
                update(number, action: step) {
                    $0.name = rename
                    $0.isDefault = isDefault
                    $0.authURL = url
                })
            guard var entry = model.entries[number], entry.isRegistered else {
                #expect(answer == .refused(.vimNotFound(.sample(number))), "SEED=\(runSeed)")
                return
            }
            if let refusal = model.refusal(
                number, name: rename ?? entry.name, isDefault: isDefault ?? entry.isDefault,
                tenant: entry.tenant)
            {
                #expect(answer == .refused(refusal), "SEED=\(runSeed)")
                return
            }
            #expect(answer == .vim(.sample(number)), "SEED=\(runSeed)")
            entry.name = rename ?? entry.name
            entry.isDefault = isDefault ?? entry.isDefault
            entry.version += 1
            if let url { (entry.url, entry.action, entry.status) = (url, step, .pending) }
            model.entries[number] = entry
            model.history.append("\(number) UPDATE \(entry.status.word)")
        case 4:
            let answer = try recorder.run(deregister(number))
            let isRegistered = model.entries[number]?.isRegistered ?? false
            #expect(
                answer == (isRegistered ? .vim(.sample(number)) : .refused(.vimNotFound(.sample(number)))),
                "SEED=\(runSeed)")
            if isRegistered {
                model.entries[number]?.isRegistered = false
                model.history.append("\(number) DELETE \(model.entries[number]?.status.word ?? "")")
            }
        case 5:
            let replacing = model.entries[number]?.action ?? 1
            let answer = try recorder.run(
                .assignMonitor(
                    AssignMonitor(
                        id: .sample(number), replacing: .sample(replacing), actionID: .sample(step),
                        reason: .monitorLost, detail: "")))
            let isRegistered = model.entries[number]?.isRegistered ?? false
            #expect(answer == (isRegistered ? .noted : .ignored), "SEED=\(runSeed)")
            if isRegistered { model.entries[number]?.action = step }
        default:
            let entry = model.entries[number]
            let isStale = UInt8.random(in: 0...3, using: &random) == 0
            let action = (entry?.action ?? 1) + (isStale ? 1_000_000 : 0)
            let status: VIMStatus = Bool.random(using: &random) ? .reachable : .unreachable
            let answer = try recorder.run(report(number, action: action, status))
            guard let entry, entry.isRegistered, !isStale else {
                #expect(answer == .reported(.badAction), "SEED=\(runSeed)")
                return
            }
            #expect(answer == .reported(.accepted(status)), "SEED=\(runSeed)")
            if entry.status != status { model.history.append("\(number) MONITOR \(status.word)") }
            model.entries[number]?.status = status
        }
    }

    private func compare(_ table: VIMTable, with model: Model) throws {
        #expect(table.streamCount == model.entries.count, "SEED=\(runSeed)")
        #expect(table.registeredCount == model.entries.values.filter(\.isRegistered).count, "SEED=\(runSeed)")
        for (number, entry) in model.entries {
            let vim = try #require(table.vim(.sample(number)), "SEED=\(runSeed)")
            let found = Model.Entry(
                name: vim.configuration.name, tenant: vim.configuration.tenantID,
                url: vim.configuration.authURL,
                isDefault: vim.configuration.isDefault, version: vim.version, status: vim.status,
                action: vim.actionID.value.low & 0xFF_FFFF - 0xAC_0000, isRegistered: vim.isRegistered)
            #expect(found == entry, "SEED=\(runSeed)")
            #expect(table.vim(ofStream: vim.stream) == vim)
            #expect(
                table.monitorFacts(vim.id)
                    == MonitorFacts(
                        stream: vim.stream, actionID: vim.actionID, isRegistered: entry.isRegistered))
        }
        for tenant in ["t", "u", "v"] {
            #expect(table.defaultVIMID(of: tenant) == model.standing(of: tenant).map(VIMID.sample))
            for name in 0...10 {
                let holder = model.holder(of: "name-\(name)", tenant: tenant)
                #expect(table.vimID(named: "name-\(name)", of: tenant) == holder.map(VIMID.sample))
            }
        }
        #expect(
            table.history(of: nil).map { "\($0.vimID.value.low & 0xFFFF) \($0.kind.word) \($0.status.word)" }
                == model.history, "SEED=\(runSeed)")
        #expect(table.vim(.sample(999_999)) == nil)
    }

    /// Every event names the one before it in its stream.
    private func chains(_ log: EventLog) throws {
        var last: [UInt32: UInt64] = [:]
        try log.readEvents { (event) throws(Never) -> Bool in
            #expect(event.envelope.previousInStream == last[event.envelope.stream] ?? 0)
            last[event.envelope.stream] = event.position
            return true
        }
    }
}
