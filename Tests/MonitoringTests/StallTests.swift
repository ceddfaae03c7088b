import Glibc
import NIOCore
import NIOPosix
import Registry
import Testing

@testable import Monitoring

@Suite("Time lost to this machine")
struct StallTests {
    /// Gives a loop of its own with a meter that ticks.
    private func withLoop(_ body: (any EventLoop, StallMeter) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let meter = StallMeter()
        meter.start(on: loop)
        try await body(loop, meter)
        meter.stop()
        try await group.shutdownGracefully()
    }

    /// Holds the loop up, as a stopped process or a starved machine would.
    private func block(_ loop: any EventLoop, milliseconds: UInt32) {
        loop.execute { usleep(milliseconds * 1_000) }
    }

    @Test("A loop that is held up is seen to lose that time, during and after")
    func measured() async throws {
        try await withLoop { loop, meter in
            let before = meter.lost()
            block(loop, milliseconds: 600)
            try await loop.submit {}.get()
            // The tick's own period may hide a part.
            #expect(meter.lost() - before >= .milliseconds(400))
        }
    }

    @Test("A probe whose whole time was lost proves nothing")
    func lostProbe() async throws {
        try await withLoop { loop, meter in
            let trace = ProbeTrace(on: loop, timeout: .milliseconds(200), meter: meter)
            let outcome = await trace.outcome {
                trace.enter(.answer)
                block(loop, milliseconds: 1_000)
            }
            #expect(outcome.meaning == .inconclusive)
            #expect(outcome.finding.reason == .timedOut)
            #expect(!outcome.explanation.isEmpty)
        }
    }

    @Test("A probe that lost a part of its time gets it back before it times out")
    func extended() async throws {
        try await withLoop { loop, meter in
            let trace = ProbeTrace(on: loop, timeout: .milliseconds(2_000), meter: meter)
            let outcome = await trace.outcome {
                trace.enter(.answer)
                block(loop, milliseconds: 700)
            }
            #expect(outcome.finding.reason == .timedOut)
            #expect(outcome.finding.roundTripMicroseconds >= 2_400_000)
        }
    }

    @Test("A probe still waiting for a free thread when its time is up proves nothing")
    func ownWait() async throws {
        try await withLoop { loop, meter in
            let trace = ProbeTrace(on: loop, timeout: .milliseconds(50), meter: meter)
            let outcome = await trace.outcome { trace.enter(.resolve, isOwnWait: true) }
            #expect(outcome.meaning == .inconclusive)
            #expect(!trace.endOwnWait())
        }
    }

    @Test("Only the first end of a probe counts, and what it holds afterwards is closed at once")
    func firstEnd() async throws {
        try await withLoop { loop, meter in
            let trace = ProbeTrace(on: loop, timeout: .minutes(1), meter: meter)
            let outcome = await trace.outcome {
                trace.finish(.failed, .connectionClosed, explanation: "two\nlines")
                trace.finish(.answered, .answered)
            }
            #expect(outcome.finding.reason == .connectionClosed)
            #expect(outcome.explanation == "two lines")
            await confirmation { closed in trace.hold { closed() } }
        }
    }
}

@Suite("What errors mean")
struct ConnectionFailureTests {
    @Test(
        "Missing resources of this machine are its own trouble",
        arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL])
    func ownTrouble(code: CInt) {
        let failure = ConnectionFailure(IOError(errnoCode: code, reason: "connect"), in: .connect)
        #expect(failure.isOwnTrouble)
        #expect(failure.reason == .proberFailed)
    }

    @Test(
        "Errors of the network are the endpoint's",
        arguments: [
            (ECONNREFUSED, ProbePhase.connect, ProbeFinding.Reason.connectionRefused, UInt16(111)),
            (EHOSTUNREACH, .connect, .connectFailed, 113), (ENETUNREACH, .connect, .connectFailed, 101),
            (ETIMEDOUT, .connect, .timedOut, 2), (ECONNRESET, .connect, .connectionClosed, 104),
            (ECONNRESET, .tls, .connectionClosed, 104), (ECONNRESET, .answer, .connectionClosed, 104),
            (EPIPE, .answer, .connectionClosed, 32),
        ])
    func network(code: CInt, phase: ProbePhase, reason: ProbeFinding.Reason, detail: UInt16) {
        let failure = ConnectionFailure(IOError(errnoCode: code, reason: "test"), in: phase)
        #expect(!failure.isOwnTrouble)
        #expect(failure.reason == reason)
        #expect(failure.detail == detail)
    }
}
