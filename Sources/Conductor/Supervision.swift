public import Logging
import Projections
import Registry

/// Gives a VIM a new monitor action when the present one has been silent past its deadline.
public struct Supervisor: Sendable {
    /// An action is lost after so many report intervals of silence.
    public static let silentIntervalMax = 3

    private let conductor: Conductor
    private let owed: OwedLaunches
    private let advice: String?
    private let isDeaf: @Sendable () -> Bool
    private let reportInterval: Duration
    private let logger: Logger

    /// A supervisor of a conductor whose actions report at least once per interval.
    ///
    /// - Parameters:
    ///   - owed: the launches that the reconciler still owes: such an action cannot speak yet.
    ///   - advice: what to tell an operator when actions were launched and never reported.
    ///   - isDeaf: whether reports cannot come in now, because what carries them is away.
    public init(
        conductor: Conductor, owed: OwedLaunches = OwedLaunches(), advice: String? = nil,
        isDeaf: @escaping @Sendable () -> Bool = { false }, reportInterval: Duration = .seconds(60),
        logger: Logger
    ) {
        self.conductor = conductor
        self.owed = owed
        self.advice = advice
        self.isDeaf = isDeaf
        self.reportInterval = reportInterval
        self.logger = logger
    }

    /// Supervises until the task is cancelled.
    public func run() async {
        let scanInterval = reportInterval / 12
        var watch = SilenceWatch(
            deadline: reportInterval * Supervisor.silentIntervalMax, scanInterval: scanInterval)
        let start = ContinuousClock.now
        while (try? await Task.sleep(for: scanInterval)) != nil {
            let now = ContinuousClock.now - start
            // An action whose reports cannot be stored is not silent: nobody can hear it.
            let lost = watch.scan(
                conductor.monitorSigns(owed: owed), isDeaf: conductor.isDiskFailing || isDeaf(), now: now)
            tell(lost)
            await withTaskGroup(of: Void.self) { group in
                for silent in lost {
                    group.addTask {
                        await conductor.assignSuccessor(
                            of: silent.actionID, for: silent.id, reason: .monitorLost, detail: silent.detail)
                    }
                }
            }
        }
    }

    private func tell(_ lost: [SilenceWatch.Lost]) {
        for silent in lost {
            logger.warning(
                "monitor action lost, another is assigned",
                metadata: [
                    "vim_id": "\(silent.id)", "action_id": "\(silent.actionID)", "reason": "\(silent.detail)",
                ])
        }
        let mute = lost.count { !$0.hasSpoken }
        if mute > 0, let advice {
            logger.warning("\(mute) monitor actions were launched and never reported: \(advice)")
        }
    }
}

/// A sign of life as the registry shows it.
struct MonitorSign: Sendable {
    var id: VIMID
    var actionID: MonitorActionID
    /// When the action last reported, by the log's time; only its change is looked at.
    var reportedAt: Timestamp?
    /// Whether its launch is still to come.
    var isOwed = false
}

/// Measures silence: pure, by the time its caller passes in, never by the wall clock.
struct SilenceWatch {
    /// Actions that never speak are given up at longer and longer intervals, up to this many deadlines: where
    /// none can run, new ids only make waste.
    static let patienceMax = 8

    struct Lost: Equatable {
        var id: VIMID
        var actionID: MonitorActionID
        var silence: Duration
        /// Whether it ever reported.
        var hasSpoken = false

        /// One phrase for the auditor.
        var detail: String {
            let seconds = silence.components.seconds
            return hasSpoken ? "no report for \(seconds) s" : "no report within \(seconds) s of its launch"
        }
    }

    private struct Heard {
        var actionID: MonitorActionID
        var reportedAt: Timestamp?
        var at: Duration
        /// So many deadlines of silence are borne.
        var patience = 1
        var isLost = false
    }

    private let deadline: Duration
    private let scanInterval: Duration
    private var heard: [VIMID: Heard] = [:]
    private var lastScan: Duration?

    init(deadline: Duration, scanInterval: Duration) {
        self.deadline = deadline
        self.scanInterval = scanInterval
    }

    /// Looks at all signs and returns the actions that are lost.
    ///
    /// An action heard of for the first time, or not yet launched, has its whole deadline before it. Time in
    /// which this process did not look (stopped, starved) or could not hear (`isDeaf`) is nobody's silence.
    mutating func scan(_ signs: [MonitorSign], isDeaf: Bool, now: Duration) -> [Lost] {
        let gap = now - (lastScan ?? now)
        lastScan = now
        let excused = isDeaf ? gap : max(.zero, gap - scanInterval * 2)
        var next: [VIMID: Heard] = [:]
        next.reserveCapacity(signs.count)
        var lost: [Lost] = []
        for sign in signs {
            var entry = Heard(actionID: sign.actionID, reportedAt: sign.reportedAt, at: now)
            if let before = heard[sign.id] {
                if before.actionID == sign.actionID, before.reportedAt == sign.reportedAt {
                    entry = before
                    entry.at = sign.isOwed ? now : min(now, before.at + excused)
                } else if before.isLost, before.reportedAt == nil, sign.reportedAt == nil {
                    entry.patience = min(before.patience * 2, SilenceWatch.patienceMax)
                }
            }
            // What was launched may be lost with the broker that was to carry it: no use in waiting long.
            if isDeaf { entry.patience = 1 }
            if now - entry.at > deadline * entry.patience {
                entry.isLost = true
                lost.append(
                    Lost(
                        id: sign.id, actionID: sign.actionID, silence: now - entry.at,
                        hasSpoken: sign.reportedAt != nil))
            }
            next[sign.id] = entry
        }
        heard = next
        return lost
    }
}

extension Conductor {
    /// The signs of life of all registered VIMs' wanted actions.
    func monitorSigns(owed: OwedLaunches) -> [MonitorSign] {
        let owed = owed.all
        return read { table in
            var signs: [MonitorSign] = []
            signs.reserveCapacity(table.registeredCount)
            table.forEachWatch { id, watch in
                signs.append(
                    MonitorSign(
                        id: id, actionID: watch.actionID, reportedAt: watch.reportedAt,
                        isOwed: owed[id] == watch.actionID))
            }
            return signs
        }
    }
}
