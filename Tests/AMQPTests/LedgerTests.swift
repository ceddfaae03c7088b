import Testing

@testable import AMQP

@Suite("The ledger of acknowledgements")
struct LedgerTests {
    @Test("What is done in order is acknowledged with one frame")
    func together() {
        var ledger = AcknowledgementLedger()
        for number in 1...4 { ledger.delivered(UInt64(number)) }
        for number in 1...3 { ledger.finished(UInt64(number)) }
        #expect(ledger.takeAcknowledgements() == [.init(number: 3, isMultiple: true)])
        #expect(ledger.openCount == 1)
        #expect(ledger.takeAcknowledgements() == [])
    }

    @Test("What is done before its turn is acknowledged by itself")
    func apart() {
        var ledger = AcknowledgementLedger()
        for number in 1...4 { ledger.delivered(UInt64(number)) }
        ledger.finished(4)
        ledger.finished(2)
        #expect(
            ledger.takeAcknowledgements()
                == [.init(number: 2, isMultiple: false), .init(number: 4, isMultiple: false)])
        ledger.finished(1)
        ledger.finished(3)
        #expect(ledger.takeAcknowledgements() == [.init(number: 3, isMultiple: true)])
    }

    @Test("An unknown number, or one done twice, changes nothing")
    func strangers() {
        var ledger = AcknowledgementLedger()
        ledger.delivered(1)
        ledger.finished(7)
        ledger.finished(1)
        ledger.finished(1)
        #expect(ledger.takeAcknowledgements() == [.init(number: 1, isMultiple: false)])
        #expect(ledger.openCount == 0)
    }

    @Test(
        "Whatever the order: everything done is acknowledged once, and nothing that is open",
        arguments: 0..<50)
    func anyOrder(seed: UInt64) {
        var random = Steps(state: seed)
        var ledger = AcknowledgementLedger()
        var open: Set<UInt64> = []
        var done: Set<UInt64> = []
        var next: UInt64 = 1
        for _ in 0..<400 {
            switch UInt64.random(in: 0..<3, using: &random) {
            case 0:
                ledger.delivered(next)
                open.insert(next)
                next += 1
            case 1:
                guard let number = open.randomElement(using: &random) else { continue }
                ledger.finished(number)
                open.remove(number)
                done.insert(number)
            default:
                for frame in ledger.takeAcknowledgements() {
                    let covered: Set<UInt64> =
                        frame.isMultiple ? open.union(done).filter { $0 <= frame.number } : [frame.number]
                    #expect(covered.isSubset(of: done))
                    done.subtract(covered)
                }
                #expect(done.isEmpty)
            }
        }
        #expect(ledger.openCount == open.count)
    }
}

@Suite("The back-off")
struct BackoffTests {
    @Test("It doubles up to a limit, is spread, and begins anew")
    func growth() {
        var backoff = Backoff()
        let waits = (0..<12).map { _ in backoff.next(random: 1) }
        #expect(waits.prefix(3) == [.milliseconds(200), .milliseconds(400), .milliseconds(800)])
        #expect(waits.last == Backoff.longest)
        #expect(backoff.next(random: 0) == Backoff.longest / 2)
        backoff.reset()
        #expect(backoff.next(random: 0) == .milliseconds(100))
    }
}

/// A random source that gives the same steps for the same seed (SplitMix64).
private struct Steps: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
