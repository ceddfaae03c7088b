import Recording
import Registry
import Samples
import Testing

@testable import Projections

@Suite("The table")
struct TableTests {
    @Test("A name is free again after a rename and a deregistration, and belongs to who took it")
    func names() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            try recorder.run(update(1) { $0.name = "b" })
            #expect(recorder.table.vimID(named: "a", of: "default") == nil)
            #expect(recorder.table.vimID(named: "b", of: "default") == .sample(1))
            try recorder.run(.sampleRegistration(2, name: "a"))
            try recorder.run(deregister(1))
            #expect(recorder.table.vimID(named: "b", of: "default") == nil)
            try recorder.run(.sampleRegistration(3, name: "b"))
            #expect(recorder.table.vimID(named: "b", of: "default") == .sample(3))
            #expect(recorder.table.vimID(named: "a", of: "default") == .sample(2))
            #expect(recorder.table.vimID(named: "a", of: "other") == nil)
            #expect(recorder.table.registeredCount == 2)
            #expect(recorder.table.streamCount == 3)
            #expect(recorder.table.vim(.sample(1))?.isRegistered == false)
        }
    }

    @Test("Two names that look alike and differ in their bytes are two names")
    func exactNames() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "N\u{E9}"))
            #expect(recorder.table.vimID(named: "Ne\u{301}", of: "default") == nil)
            try recorder.run(.sampleRegistration(2, name: "Ne\u{301}"))
            #expect(recorder.table.vimID(named: "N\u{E9}", of: "default") == .sample(1))
            #expect(recorder.table.vimID(named: "Ne\u{301}", of: "default") == .sample(2))
        }
    }

    @Test("The default moves with updates and is free after deregistration")
    func defaults() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a", isDefault: true))
            try recorder.run(.sampleRegistration(2, name: "b"))
            #expect(recorder.table.defaultVIMID(of: "default") == .sample(1))
            try recorder.run(update(1) { $0.isDefault = false })
            #expect(recorder.table.defaultVIMID(of: "default") == nil)
            try recorder.run(update(2) { $0.isDefault = true })
            try recorder.run(update(2) { $0.description = "still" })
            #expect(recorder.table.defaultVIMID(of: "default") == .sample(2))
            try recorder.run(deregister(2))
            #expect(recorder.table.defaultVIMID(of: "default") == nil)
        }
    }

    @Test("History shows what users did and what changed, not every report, and finds entries by position")
    func history() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))  // 1, 2
            let refused = ProbeFinding(.connectionRefused, detail: 111, roundTripMicroseconds: 9)
            try recorder.run(report(1, action: 1, .unreachable, refused))  // 3
            try recorder.run(report(1, action: 1, .unreachable, refused))  // 4
            try recorder.run(report(1, action: 7, .reachable))  // 5, refused
            try recorder.run(.sampleRegistration(2, name: "b"))  // 6, 7
            try recorder.run(update(1) { $0.name = "c" })  // 8
            try recorder.run(deregister(1))  // 9, 10
            let table = recorder.table
            #expect(table.history(of: nil).map(\.position) == [1, 3, 6, 8, 9])
            #expect(
                table.history(of: .sample(1)).map(\.kind.word) == ["CREATE", "MONITOR", "UPDATE", "DELETE"])
            #expect(table.history(of: .sample(2)).map(\.position) == [6])
            #expect(table.history(of: .sample(3)) == [])
            #expect(table.historyEntry(at: 3)?.finding == refused)
            #expect(table.historyEntry(at: 3)?.status == .unreachable)
            for position in [0, 2, 4, 10, 11] as [UInt64] { #expect(table.historyEntry(at: position) == nil) }
        }
    }

    @Test("Rows are found among many, whatever the ids")
    func index() {
        var random = SeededGenerator(seed: runSeed)
        var ids: [VIMID] = []
        var index = StreamIndex()
        for number in 0..<3_000 as Range<UInt64> {
            let id: UniqueID =
                switch number % 3 {
                case 0: UniqueID(using: &random)
                case 1: UniqueID(high: number, low: 0)
                default: UniqueID(high: 0, low: number)
                }
            ids.append(VIMID(id))
            index.addLast(of: ids)
        }
        for (row, id) in ids.enumerated() { #expect(index.row(of: id, in: ids) == row) }
        #expect(index.row(of: VIMID(UniqueID(high: 7, low: 7)), in: ids) == nil)
    }

    @Test("A copy of the table does not change with it")
    func copies() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            let before = recorder.table
            try recorder.run(report(1, action: 1, .reachable))
            try recorder.run(update(1) { $0.name = "b" })
            #expect(before.vim(.sample(1))?.status == .pending)
            #expect(before.vim(.sample(1))?.configuration.name == "a")
            #expect(before.vimID(named: "b", of: "default") == nil)
        }
    }

    @Test("An event that cannot follow is a fault and leaves the table as it was")
    func faults() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            let table = recorder.table
            let noted = VIMMonitorNoted(actionID: .sample(1), backend: "b")
            let reported = VIMStatusReported(
                actionID: .sample(1), status: .reachable, verdict: .accepted, finding: .unstated)
            let registered = Event.vimRegistered(
                VIMRegistered(id: .sample(1), configuration: .sample("x"), actor: Actor()))
            let started = Event.epochStarted(EpochStarted(epoch: 1, version: "", host: "", processID: 1))
            let impossible: [(UInt64, UInt32, Event)] = [
                (4, 1, .vimMonitorLaunched(noted)), (2, 1, .vimMonitorLaunched(noted)),
                (3, 2, .vimMonitorLaunched(noted)), (3, 2, .vimStatusReported(reported)),
                (3, 3, registered), (3, 1, registered), (3, 1, started), (3, 2, started),
                (3, .max, .vimStatusReported(reported)), (3, 0, registered), (3, 0, .vimCredentialsShredded),
            ]
            for (position, stream, event) in impossible {
                var copy = table
                let fault = #expect(throws: ProjectionFault.self, "\(event.type.name) in \(stream)") {
                    try copy.apply(
                        PlacedEvent(
                            position: position, time: Timestamp(microseconds: 5), stream: stream, event: event
                        ))
                }
                #expect(fault?.position == position)
                #expect(copy.differences(from: table) == [], "\(event.type.name) in \(stream)")
            }
        }
    }

    @Test("Every kind of difference between two tables is found, both ways, and named")
    func differences() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            try recorder.run(.sampleRegistration(2, name: "b"))
            try recorder.run(report(2, action: 2, .reachable))
            let table = recorder.table
            #expect(table.differences(from: table) == [])
            let later = Timestamp(microseconds: 9_999_999)
            func detail(_ change: (inout VIMTable.Details) -> Void) -> (inout VIMTable) -> Void {
                var details = table.details[1].details
                change(&details)
                return { $0.details[1] = .details(details) }
            }
            let changes: [(String, (inout VIMTable) -> Void)] = [
                ("position", { $0.position += 1 }),
                ("last position in stream 0", { $0.lastConductorPosition = 9 }),
                ("status", { $0.watches[1].status = .unreachable }),
                ("finding", { $0.watches[1].finding = ProbeFinding(.tlsFailed) }),
                ("action_id", { $0.watches[1].actionID = .sample(77) }),
                ("updated_at", { $0.watches[1].updatedAt = later }),
                ("reported_at", { $0.watches[1].reportedAt = nil }),
                ("last position", { $0.lastPositions[1] = 1 }), ("id", { $0.ids[1] = .sample(88) }),
                ("configuration", detail { $0.configuration.description = "?" }),
                ("version", detail { $0.version = 5 }), ("created_at", detail { $0.createdAt = later }),
                ("deregistered_at", detail { $0.deregisteredAt = later }),
                ("history entry count", { $0.entries.removeLast() }),
                ("history entry at 5", { $0.entries[2].status = .unreachable }),
            ]
            for (field, change) in changes {
                var other = table
                change(&other)
                #expect(table.differences(from: other).map(\.field) == [field])
                #expect(other.differences(from: table).map(\.field) == [field])
                let isRow = !["position", "last position in stream 0", "history entry count"].contains(field)
                #expect((table.differences(from: other).first?.vimID != nil) == isRow, "\(field)")
            }
            #expect(
                table.differences(from: VIMTable()).map(\.field)
                    == ["position", "VIM count", "history entry count"])
        }
    }

    @Test("Damaged rows decode as none and never trap")
    func damagedRows() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            try recorder.run(report(1, action: 1, .reachable))
            let rows = recorder.table.encoded()
            for count in 0..<rows.count {
                #expect(VIMTable(encoded: Array(rows[..<count]), position: 3) == nil, "\(count)")
            }
            #expect(VIMTable(encoded: rows + [0], position: 3) == nil)
            var random = SeededGenerator(seed: runSeed)
            for _ in 0..<2_000 {
                var broken = rows
                broken[Int.random(in: rows.indices, using: &random)] = UInt8(
                    truncatingIfNeeded: random.next())
                _ = VIMTable(encoded: broken, position: 3)
            }
        }
    }

    @Test("Awkward texts survive the checkpoint")
    func texts() throws {
        try withRecorder { recorder in
            for (number, name) in ["", "😀", "\u{202E}x", "a\u{0}b", String(repeating: "n", count: 255)]
                .enumerated()
            {
                try recorder.run(.sampleRegistration(UInt64(number), name: name))
            }
            let table = recorder.table
            let decoded = try #require(VIMTable(encoded: table.encoded(), position: table.position))
            #expect(decoded.differences(from: table) == [])
            #expect(decoded.vimID(named: "a\u{0}b", of: "default") == .sample(3))
        }
    }
}
