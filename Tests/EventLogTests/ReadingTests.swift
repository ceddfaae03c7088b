import Samples
import Testing

@testable import EventLog

@Suite("Reading a log")
struct ReadingTests {
    @Test("Random batches read back as they were appended, from any position, also after reopening")
    func roundTrip() throws {
        var random = SeededGenerator(seed: runSeed)
        try withTemporaryDirectory { directory in
            var appended: [Said] = []
            try withLog(in: directory) { (log) throws in
                for _ in 0..<120 {
                    let batch = randomBatch(after: appended.count, using: &random)
                    try log.append(batch, time: log.head.time + UInt64.random(in: 0...3, using: &random))
                    appended += batch
                    #expect(log.head.position == UInt64(appended.count))
                }
                #expect(try log.events() == appended, "SEED=\(runSeed)")
            }
            try withLog(in: directory, .read) { (log) throws in
                #expect(log.head.position == UInt64(appended.count))
                #expect(try log.events() == appended, "SEED=\(runSeed)")
                for _ in 0..<40 {
                    let position = Int.random(in: 1...appended.count, using: &random)
                    let found = try log.events(from: UInt64(position))
                    #expect(found == Array(appended[(position - 1)...]), "SEED=\(runSeed)")
                }
                #expect(try log.events(from: UInt64(appended.count) + 1) == [])
                #expect(try log.events(from: .max) == [])
                #expect(try log.events(from: 0) == appended)
            }
        }
    }

    @Test("An empty log has the head of nothing and no events")
    func empty() throws {
        try withFreshLog { (log) throws in
            #expect(log.head == .none)
            #expect(try log.events() == [])
            #expect(try log.head(atTime: .max) == .none)
            #expect(try log.head(at: 10) == .none)
        }
    }

    @Test("A body that returns false stops the reading, and its error comes back as it is")
    func stop() throws {
        struct Enough: Error {}
        try withFreshLog { (log) throws in
            try log.append([Said(), Said(), Said()])
            try log.append([Said()])
            var count = 0
            try log.readEvents { (_) throws(any Error) -> Bool in
                count += 1
                return count < 2
            }
            #expect(count == 2)
            let error = #expect(throws: ReadError<any Error>.self) {
                try log.readEvents(from: 2) { (_) throws(any Error) -> Bool in throw Enough() }
            }
            guard case .body(let body) = error else {
                Issue.record("the log is blamed for the body's error")
                return
            }
            #expect(body is Enough)
        }
    }

    @Test("The head at a time is the last batch at or before it; times that repeat take the last of them")
    func headAtTime() throws {
        try withFreshLog { (log) throws in
            var heads: [Head] = [.none]
            for time in [100, 200, 200, 200, 300] as [UInt64] {
                heads.append(try log.append([Said(), Said()], time: time))
            }
            let expected: [(UInt64, Int)] = [
                (0, 0), (99, 0), (100, 1), (199, 1), (200, 4), (299, 4), (300, 5), (.max, 5),
            ]
            for (time, index) in expected { #expect(try log.head(atTime: time) == heads[index], "\(time)") }
        }
    }

    @Test("The head at a position is that of the batch that holds it")
    func headAtPosition() throws {
        try withFreshLog { (log) throws in
            let heads = [.none] + (try (1...5).map { try log.append(Array(repeating: Said(), count: $0)) })
            // Batches end at 1, 3, 6, 10, 15.
            let expected: [(UInt64, Int)] = [
                (0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (6, 3), (7, 4), (10, 4), (11, 5), (15, 5), (16, 5),
                (.max, 5),
            ]
            for (position, index) in expected {
                #expect(try log.head(at: position) == heads[index], "\(position)")
            }
        }
    }

    @Test("Heads by time and position agree with a walk over a random log")
    func headsAgree() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            var heads: [Head] = [.none]
            for _ in 0..<80 {
                heads.append(
                    try log.append(
                        randomBatch(after: Int(log.head.position), using: &random),
                        time: log.head.time + UInt64.random(in: 0...4, using: &random)))
            }
            for time in 0...log.head.time + 1 {
                #expect(try log.head(atTime: time) == heads.last { $0.time <= time }, "SEED=\(runSeed)")
            }
            for position in 0...log.head.position {
                let found = try log.head(at: position)
                #expect(found == firstHead(in: heads, notBefore: position), "SEED=\(runSeed)")
            }
        }
    }

    @Test("A reader beside a busy writer sees only whole batches, and never less than before")
    func besideWriter() async throws {
        try await withTemporaryDirectory { directory in
            let log = try EventLog(directory: directory, access: .write, mapByteCount: 1 << 30)
            try log.append([Said(payload: [1])])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 2...150 {
                        // The payload says how many events the batch has.
                        let event = Said(payload: [UInt8(number)])
                        try log.append(Array(repeating: event, count: number))
                    }
                }
                for _ in 0..<2 {
                    group.addTask {
                        var before = 0
                        for _ in 0..<25 {
                            let events = try log.events()
                            #expect(events.count >= before)
                            before = events.count
                            let counts = Dictionary(grouping: events, by: \.payload).mapValues(\.count)
                            for (payload, count) in counts { #expect(Int(payload[0]) == count) }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(log.head.position == UInt64((1...150).reduce(0, +)))
        }
    }

    @Test("A long reading renews its view: it reaches what was appended meanwhile, and the file stays lean")
    func viewsAreRenewed() throws {
        try withFreshLog { (log) throws in
            let large = [Said(payload: [UInt8](repeating: 3, count: 1 << 20))]
            for _ in 0..<40 { try log.append(large) }
            let before = log.usedByteCount
            var seen: UInt64 = 0
            var appended = 0
            try log.readBatches { (batch) throws(any Error) -> Bool in
                seen = batch.lastPosition
                if batch.bytes.count > 1 << 20 {
                    for _ in 0..<10 { try log.append([Said()]) }
                    appended += 10
                }
                return true
            }
            #expect(appended == 400)
            // With one view for all, it would have ended with the 40 that were there.
            #expect(seen > 40)
            // A commit rewrites some four pages; held views would keep all of them.
            #expect(log.usedByteCount - before < 400 * 4 * 4_096)
        }
    }

    private func firstHead(in heads: [Head], notBefore position: UInt64) -> Head? {
        heads.first { $0.position >= position }
    }

    private func randomBatch(after count: Int, using random: inout SeededGenerator) -> [Said] {
        (0..<Int.random(in: 1...30, using: &random)).map { index in
            let isLarge = UInt8.random(in: 0...60, using: &random) == 0
            return Said(
                stream: .random(in: 0...UInt32.max, using: &random),
                previous: .random(in: 0...UInt64(count + index), using: &random),
                type: .random(in: 0...UInt16.max, using: &random),
                format: .random(in: 0...UInt8.max, using: &random),
                payload: random.bytes(Int.random(in: 0...(isLarge ? 20_000 : 60), using: &random)))
        }
    }
}
