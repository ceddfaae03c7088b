import Testing

@testable import HighAvailability

@Suite("Catching up with a leader")
struct CatchUpTests {
    /// Stores so many events a second, one portion of them each tenth of a second, up to a position.
    private func run(
        _ catchUp: inout CatchUp, from start: UInt64, to position: UInt64, of end: UInt64?, perSecond: UInt64,
        at began: Duration = .seconds(100)
    ) -> [CatchUp.Line] {
        var lines: [CatchUp.Line] = []
        var (stored, now) = (start, began)
        while stored < position {
            let before = stored
            stored = min(position, stored + perSecond / 10)
            now += .milliseconds(100)
            switch catchUp.stored(after: before, upTo: stored, isBehind: true, at: now) {
            case .nothing: break
            case .tell(let line): lines.append(line)
            case .ask: if let line = catchUp.answer(end, at: now) { lines.append(line) }
            }
        }
        return lines
    }

    @Test("A node far behind says so at once, every five seconds, and when it has everything")
    func lines() {
        var catchUp = CatchUp()
        let lines = run(&catchUp, from: 0, to: 2_000_000, of: 2_000_000, perSecond: 200_000)
        #expect(
            lines == [
                .at(20_000, of: 2_000_000, eventsPerSecond: nil),
                .at(1_020_000, of: 2_000_000, eventsPerSecond: 200_000),
                .done(2_000_000, eventCount: 2_000_000, time: .milliseconds(9_900)),
            ])
    }

    @Test("Where the leader's end moves on, the newest known one counts")
    func movingEnd() {
        var catchUp = CatchUp()
        let first = run(&catchUp, from: 0, to: 900_000, of: 1_000_000, perSecond: 100_000)
        #expect(first.last == .at(510_000, of: 1_000_000, eventsPerSecond: 100_000))
        let second = run(
            &catchUp, from: 900_000, to: 1_100_000, of: 1_100_000, perSecond: 100_000, at: .seconds(109))
        // Its old end was not the last word: what follows is another, short one, which needs no line.
        #expect(second == [.done(1_000_000, eventCount: 1_000_000, time: .milliseconds(9_900))])
    }

    @Test("A short absence, and whoever keeps up, need no line")
    func silence() {
        var catchUp = CatchUp()
        #expect(run(&catchUp, from: 5_000_000, to: 5_050_000, of: 5_050_000, perSecond: 10_000).isEmpty)
        var now = Duration.seconds(300)
        for position in UInt64(5_050_000)..<5_050_100 {
            now += .seconds(1)
            #expect(
                catchUp.stored(after: position, upTo: position + 1, isBehind: false, at: now) == .nothing)
        }
    }

    @Test("Batches of the leader's memory end it")
    func newest() {
        var catchUp = CatchUp()
        _ = run(&catchUp, from: 0, to: 200_000, of: 400_000, perSecond: 400_000)
        #expect(
            catchUp.stored(after: 200_000, upTo: 200_001, isBehind: false, at: .seconds(101))
                == .tell(.done(200_001, eventCount: 200_001, time: .milliseconds(900))))
    }

    @Test("Without etcd, whose word is the leader's end, a line tells what is known")
    func withoutEnd() {
        var catchUp = CatchUp()
        _ = run(&catchUp, from: 0, to: 20_000, of: 2_000_000, perSecond: 200_000)
        let lines = run(
            &catchUp, from: 20_000, to: 1_200_000, of: nil, perSecond: 200_000, at: .milliseconds(100_100))
        #expect(lines == [.at(1_020_000, of: nil, eventsPerSecond: 200_000)])
    }
}
