import NIOCore
import Registry
import Synchronization

/// One probe as it goes: which phase it is in, what each took, its deadline, and its one end.
///
/// Whoever calls ``finish(_:_:detail:explanation:)`` first decides; the connection is then closed, whatever
/// state it is in.
final class ProbeTrace: Sendable {
    private struct State {
        var phase: ProbePhase?
        var phaseBegan: NIODeadline
        var phases = PhaseTimes()
        var hasEnded = false
        /// Closes what the probe holds now.
        var close: (@Sendable () -> Void)?
        var timer: Scheduled<Void>?
        /// Whether the phase waits for something of this machine's own (a free thread).
        var isOwnWait = false
    }

    let loop: any EventLoop
    /// When the probe must have ended, if no time is lost.
    let deadline: NIODeadline
    private let began: NIODeadline
    private let meter: StallMeter
    private let lostBefore: TimeAmount
    private let promise: EventLoopPromise<ProbeOutcome>
    private let state: Mutex<State>

    /// Begins a probe and arms its deadline.
    init(on loop: any EventLoop, timeout: TimeAmount, meter: StallMeter) {
        let now = NIODeadline.now()
        self.loop = loop
        self.meter = meter
        began = now
        deadline = now + timeout
        lostBefore = meter.lost(now: now)
        promise = loop.makePromise()
        state = Mutex(State(phaseBegan: now))
        armTimer(at: deadline)
    }

    /// Does the probe and waits for its end; a cancelled task ends it at once.
    func outcome(of start: () -> Void) async -> ProbeOutcome {
        start()
        let cancelled = ProbeOutcome(
            .inconclusive, ProbeFinding(.proberFailed), explanation: "the monitor is stopping")
        return await withTaskCancellationHandler {
            (try? await promise.futureResult.get()) ?? cancelled
        } onCancel: {
            finish(.inconclusive, .proberFailed, explanation: cancelled.explanation)
        }
    }

    /// The probe goes on to its next phase (or tries the same once more, at another address).
    func enter(_ phase: ProbePhase, isOwnWait: Bool = false) {
        state.withLock { state in
            let now = NIODeadline.now()
            ProbeTrace.endPhase(&state, now: now)
            state.phase = phase
            state.phaseBegan = now
            state.isOwnWait = isOwnWait
        }
    }

    /// What the present phase waited for of our own has come; false if the probe has ended meanwhile.
    @discardableResult
    func endOwnWait() -> Bool {
        state.withLock { state in
            state.isOwnWait = false
            return !state.hasEnded
        }
    }

    /// Gives the probe something to be closed at its end; closes it at once if that has come.
    func hold(_ close: @escaping @Sendable () -> Void) {
        let isTooLate = state.withLock { state in
            if !state.hasEnded { state.close = close }
            return state.hasEnded
        }
        if isTooLate { close() }
    }

    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// The phase the probe is in.
    var phase: ProbePhase? { state.withLock { $0.phase } }

    /// Ends the probe; only the first call counts.
    func finish(
        _ meaning: ProbeOutcome.Meaning, _ reason: ProbeFinding.Reason, detail: UInt16 = 0,
        explanation: String = ""
    ) {
        let now = NIODeadline.now()
        let ended: State? = state.withLock { state in
            guard !state.hasEnded else { return nil }
            ProbeTrace.endPhase(&state, now: now)
            state.hasEnded = true
            let copy = state
            state.close = nil
            state.timer = nil
            return copy
        }
        guard let ended else { return }
        ended.timer?.cancel()
        ended.close?()
        let finding = ProbeFinding(
            reason, detail: detail, roundTripMicroseconds: ProbeTrace.microseconds(now - began))
        promise.succeed(
            ProbeOutcome(
                meaning, finding, phases: ended.phases, explanation: ProbeTrace.oneLine(explanation)))
    }

    /// Ends the probe as its failure says.
    func finish(_ failure: ConnectionFailure) {
        finish(
            failure.isOwnTrouble ? .inconclusive : .failed, failure.reason, detail: failure.detail,
            explanation: failure.explanation)
    }

    /// The deadline came.
    ///
    /// Time this process lost meanwhile is given back, up to the whole timeout over again; a probe that lost
    /// more than that proves nothing.
    private func deadlineCame() {
        let lost = meter.lost() - lostBefore
        let allowance = deadline - began
        let end = deadline + min(lost, allowance)
        if NIODeadline.now() < end {
            armTimer(at: end)
            return
        }
        let (phase, isOwnWait) = state.withLock { ($0.phase ?? .resolve, $0.isOwnWait) }
        let isOwnTrouble = lost > allowance || isOwnWait
        finish(
            isOwnTrouble ? .inconclusive : .failed, .timedOut, detail: phase.rawValue,
            explanation: isOwnTrouble ? "the monitor's machine was too busy or stopped meanwhile" : "")
    }

    private func armTimer(at time: NIODeadline) {
        let timer = loop.scheduleTask(deadline: time) { [self] in deadlineCame() }
        let isTooLate = state.withLock { state in
            if !state.hasEnded { state.timer = timer }
            return state.hasEnded
        }
        if isTooLate { timer.cancel() }
    }

    private static func endPhase(_ state: inout State, now: NIODeadline) {
        guard let phase = state.phase else { return }
        let (sum, overflow) = (state.phases[phase] ?? 0)
            .addingReportingOverflow(microseconds(now - state.phaseBegan))
        state.phases[phase] = overflow ? .max : sum
    }

    private static func microseconds(_ amount: TimeAmount) -> UInt32 {
        UInt32(clamping: amount.nanoseconds / 1_000)
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
