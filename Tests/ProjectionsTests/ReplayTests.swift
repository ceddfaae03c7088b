import EventLog
import Projections
import Recording
import Registry
import Samples
import Testing

@Suite("Replay")
struct ReplayTests {
    @Test("An empty log gives the empty table")
    func empty() throws {
        try withRecorder { recorder in
            let replay = try Replay(of: recorder.log)
            #expect(replay.table.differences(from: VIMTable()) == [])
            #expect(replay.eventCount == 0)
        }
    }

    @Test("Stopped earlier, it gives the state of then, also in the middle of a batch")
    func upTo() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            try recorder.run(report(1, action: 1, .reachable))
            try recorder.run(deregister(1))
            try recorder.commit()
            let expected: [(UInt64, Int, VIMStatus?)] = [
                (0, 0, nil), (1, 1, .pending), (2, 1, .pending), (3, 1, .reachable), (4, 0, .reachable),
                (5, 0, .reachable), (99, 0, .reachable),
            ]
            for (position, registeredCount, status) in expected {
                let table = try Replay(of: recorder.log, upTo: position).table
                #expect(table.position == min(position, 5))
                #expect(table.registeredCount == registeredCount)
                #expect(table.vim(.sample(1))?.status == status)
            }
        }
    }

    @Test("A checkpoint of another history, schema or place is not used")
    func foreignCheckpoint() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            try recorder.commit()
            let good = recorder.table.checkpoint(seal: recorder.log.head.seal)
            try recorder.run(.sampleRegistration(2, name: "b"))
            try recorder.commit()
            #expect(try Replay(of: recorder.log, from: good).checkpointPosition == 2)
            #expect(try Replay(of: recorder.log, from: good, upTo: 2).eventCount == 0)
            #expect(try Replay(of: recorder.log, from: good, upTo: 1).checkpointPosition == 0)
            let changes: [(inout Checkpoint) -> Void] = [
                { $0.seal = .none }, { $0.schema += 1 }, { $0.position = 1 }, { $0.position = 3 },
                { $0.position = 99 }, { $0.rows.removeLast() }, { $0.rows = [] },
            ]
            for (index, change) in changes.enumerated() {
                var other = good
                change(&other)
                let replay = try Replay(of: recorder.log, from: other)
                #expect(replay.checkpointPosition == 0, "change \(index)")
                #expect(replay.table.differences(from: recorder.table) == [])
            }
        }
    }

    @Test(
        "An event that cannot be read or cannot follow ends it with the event's position",
        arguments: [
            (99, 1, 1, []), (6, 9, 1, []), (6, 1, 1, [0x0A, 1, 1]), (1, 1, 1, [1]), (4, 1, 1, [1, 2, 3]),
            (4, 1, 2, [UInt8](repeating: 1, count: 24)), (10, 1, 1, []), (8, 1, 2, []), (8, 1, 3, []),
            (8, 1, 0, []),
        ] as [(UInt16, UInt8, UInt32, [UInt8])])
    func impossible(_ type: UInt16, _ format: UInt8, _ stream: UInt32, _ payload: [UInt8]) throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            try recorder.commit()
            try recorder.run(report(1, action: 1, .reachable))
            recorder.smuggle(type: type, format: format, stream: stream, payload: payload)
            try recorder.commit()
            let error = #expect(throws: ReadError<ProjectionFault>.self) { try Replay(of: recorder.log) }
            guard case .body(let fault) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(fault.position == 4)
            #expect(!fault.sentence.isEmpty)
            // What a later version may know is not called damaged.
            let isUnknown = type == 99 || format == 9
            #expect(fault.isUnknown == isUnknown)
            #expect(fault.error(in: recorder.log).sentence.contains("later one") == isUnknown)
            // Before it is stored, a rehearsal finds the same.
            let rehearsed = #expect(throws: ReadError<ProjectionFault>.self) {
                try rehearse(recorder.log, from: VIMTable())
            }
            guard case .body(fault) = rehearsed else {
                Issue.record("\(String(describing: rehearsed))")
                return
            }
            // Up to there all is well.
            #expect(try Replay(of: recorder.log, upTo: 3).table.differences(from: recorder.table) == [])
        }
    }

    @Test("Progress is told about, never backwards, and ends at the end")
    func progress() throws {
        try withRecorder { recorder in
            try recorder.run(.sampleRegistration(1, name: "a"))
            let count = Replay.progressInterval * 2 + 10
            for number in 0..<count {
                try recorder.run(report(1, action: 1, .reachable))
                if number % 1_000 == 0 { try recorder.commit() }
            }
            try recorder.commit()
            var positions: [UInt64] = []
            let replay = try Replay(of: recorder.log) { positions.append($0.position) }
            #expect(positions.count == 2)  // told between batches: after 66,002 and at the end
            #expect(positions == positions.sorted())
            #expect(positions.last == count + 2)
            #expect(replay.eventCount == count + 2)
        }
    }
}
