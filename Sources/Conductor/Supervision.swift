public import Logging
import Projections
import Registry

/// Gives a VIM a new monitor action when the present one has been silent past its deadline.
public struct Supervisor: Sendable {
    /// An action is lost after so many report intervals of silence.
    public static let silentIntervalMax = 3

    private let conductor: Conductor
    private let reportInterval: Duration
    private let logger: Logger

    /// A supervisor of a conductor whose actions report at least once per interval.
    public init(conductor: Conductor, reportInterval: Duration = .seconds(60), logger: Logger) {
        self.conductor = conductor
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
            let lost = watch.scan(conductor.monitorSigns(), isDeaf: conductor.isDiskFailing, now: now)
            await withTaskGroup(of: Void.self) { group in
                for silent in lost { group.addTask { await replace(silent) } }
            }
        }
    }

    private func replace(_ silent: SilenceWatch.Lost) async {
        let seconds = silent.silence.components.seconds
        let detail = "no report for \(seconds) s"
        var random = SystemRandomNumberGenerator()
        let wish = AssignMonitor(
            id: silent.id, replacing: silent.actionID, actionID: MonitorActionID(UniqueID(using: &random)),
            reason: .monitorLost, detail: detail)
        logger.warning(
            "monitor action lost, another is assigned",
            metadata: ["vim_id": "\(silent.id)", "action_id": "\(silent.actionID)", "reason": "\(detail)"])
        _ = try? await conductor.submit(.assignMonitor(wish))
    }
}

/// A sign of life as the registry shows it.
struct MonitorSign: Sendable {
    var id: VIMID
    var actionID: MonitorActionID
    /// When the action last reported, by the log's time; only its change is looked at.
    var reportedAt: Timestamp?
}

/// Measures silence: pure, by the time its caller passes in, never by the wall clock.
struct SilenceWatch {
    struct Lost: Equatable {
        var id: VIMID
        var actionID: MonitorActionID
        var silence: Duration
    }

    private struct Heard {
        var actionID: MonitorActionID
        var reportedAt: Timestamp?
        var at: Duration
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
    /// An action heard of for the first time has its whole deadline before it. Time in which this process did
    /// not look (stopped, starved) or could not hear (`isDeaf`) is nobody's silence.
    mutating func scan(_ signs: [MonitorSign], isDeaf: Bool, now: Duration) -> [Lost] {
        let gap = now - (lastScan ?? now)
        lastScan = now
        let excused = isDeaf ? gap : max(.zero, gap - scanInterval * 2)
        var next: [VIMID: Heard] = [:]
        next.reserveCapacity(signs.count)
        var lost: [Lost] = []
        for sign in signs {
            var entry = Heard(actionID: sign.actionID, reportedAt: sign.reportedAt, at: now)
            if let before = heard[sign.id], before.actionID == sign.actionID,
                before.reportedAt == sign.reportedAt
            {
                entry.at = min(now, before.at + excused)
            }
            if now - entry.at > deadline {
                lost.append(Lost(id: sign.id, actionID: sign.actionID, silence: now - entry.at))
            }
            next[sign.id] = entry
        }
        heard = next
        return lost
    }
}

extension Conductor {
    /// The signs of life of all registered VIMs' wanted actions.
    func monitorSigns() -> [MonitorSign] {
        read { table in
            var signs: [MonitorSign] = []
            signs.reserveCapacity(table.registeredCount)
            table.forEachWatch { id, watch in
                signs.append(MonitorSign(id: id, actionID: watch.actionID, reportedAt: watch.reportedAt))
            }
            return signs
        }
    }
}
