import Samples
import Testing

@testable import EventLog

@Suite("Marks of a log, by which a pair finds where its two logs part")
struct MarksTests {
    @Test("The last end in a range comes first, a few right before it, then ever wider apart; at most 32")
    func spacing() throws {
        try withFreshLog { (log) throws in
            #expect(try log.marks(above: 0, upTo: .max) == [])
            for _ in 0..<1_000 { try log.append([Said(), Said()]) }
            let all = try log.marks(above: 0, upTo: log.head.position).map(\.position)
            #expect(Array(all.prefix(4)) == [2_000, 1_998, 1_996, 1_994])
            #expect(all.count <= 32 && all.count > 8, "\(all)")
            let steps = zip(all, all.dropFirst()).map { $0 - $1 }
            #expect(zip(steps, steps.dropFirst()).allSatisfy { $0 <= $1 }, "\(steps)")
            #expect(try log.marks(above: 0, upTo: .max) == log.marks(above: 0, upTo: 2_000))
            // Ranges that end within a batch, and hold few or no ends.
            #expect(try log.marks(above: 4, upTo: 9).map(\.position) == [8, 6])
            #expect(try log.marks(above: 4, upTo: 5) == [])
            #expect(try log.marks(above: 4, upTo: 4) == [])
            #expect(try log.marks(above: 0, upTo: 2).map(\.position) == [2])
            #expect(try log.marks(above: 2_000, upTo: .max) == [])
            for mark in try log.marks(above: 0, upTo: 777) {
                #expect(try log.head(at: mark.position) == mark)
            }
        }
    }

    @Test("Of what is archived or dropped the ends of segments are marks")
    func cold() throws {
        var random = SeededGenerator(seed: runSeed)
        try withFreshLog { (log) throws in
            for _ in 0..<60 { try log.appendAny(using: &random) }
            try log.archiveAll(upTo: 80, eventMax: 10)
            let ends = try log.archivedSegments().map(\.head)
            let last = try #require(ends.last)
            #expect(ends.count > 4)
            #expect(try log.marks(above: 0, upTo: last.position).first == last)
            #expect(Set(try log.marks(above: 0, upTo: last.position)).isSubset(of: ends))
            #expect(try log.marks(above: 0, upTo: ends[1].position + 1).first == ends[1])
            #expect(try log.marks(above: 0, upTo: ends[0].position - 1) == [])
            #expect(try log.marks(above: last.position, upTo: .max).first == log.head)
        }
    }

    @Test("The newest common place of two logs is found by asking, wherever they part, hot or cold")
    func search() throws {
        for round in UInt64(0)..<30 {
            let seed = runSeed &+ round
            var random = SeededGenerator(seed: seed)
            try withTwoLogs { (leader, standby) throws in
                for _ in 0..<Int.random(in: 0...60, using: &random) {
                    try standby.append(travelling: try leader.appendAny(using: &random))
                }
                let common = leader.head
                for _ in 0..<Int.random(in: 1...40, using: &random) {
                    try leader.appendAny(epoch: 3, using: &random)
                }
                for _ in 0..<Int.random(in: 0...90, using: &random) {
                    try standby.appendAny(epoch: 2, using: &random)
                }
                if Bool.random(using: &random) {
                    try leader.archiveAll(upTo: leader.head.position - 1, eventMax: 30)
                }
                let (found, count) = try search(standby, leader)
                #expect(found == common, "SEED=\(seed)")
                #expect(count <= 12, "SEED=\(seed)")
            }
        }
    }

    @Test("A head is common if position, epoch and seal are the same, whatever time it tells")
    func sameness() throws {
        try withFreshLog { (log) throws in
            let first = try log.append([Said(), Said()], epoch: 2)
            let second = try log.append([Said()], epoch: 2)
            var asked = first
            asked.time = 0
            #expect(try log.newestCommon(of: [asked]) == first)
            #expect(try log.newestCommon(of: [first, second]) == second)
            #expect(try log.newestCommon(of: []) == nil)
            #expect(try log.newestCommon(of: [.none]) == Head.none)
            for change in [\Head.position, \Head.epoch] {
                var other = first
                other[keyPath: change] -= 1
                #expect(try log.newestCommon(of: [other]) == nil)
            }
            var other = first
            other.seal = second.seal
            #expect(try log.newestCommon(of: [other]) == nil)
            other.position = .max
            #expect(try log.newestCommon(of: [other]) == nil)
        }
    }

    /// As a standby looks for it (Design.md, the pair's rule 7).
    private func search(_ standby: EventLog, _ leader: EventLog) throws -> (Head, questions: Int) {
        var (low, high) = (Head.none, standby.head.position)
        var count = 0
        while high > low.position {
            let marks = try standby.marks(above: low.position, upTo: high)
            guard let last = marks.last else { break }
            count += 1
            guard let common = try leader.newestCommon(of: marks) else {
                high = last.position - 1
                continue
            }
            let index = try #require(marks.firstIndex(of: common))
            low = common
            high = index == 0 ? common.position : marks[index - 1].position - 1
        }
        return (low, count)
    }
}
