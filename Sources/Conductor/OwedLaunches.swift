import Registry
import Synchronization

/// The wanted actions that could not be launched yet, because their backend is away or busy.
///
/// Written by the reconciler and read by the supervisor: an action that was never launched is not silent, and
/// a new id would not help it.
public final class OwedLaunches: Sendable {
    private let owed = Mutex<[VIMID: MonitorActionID]>([:])

    /// None yet.
    public init() {}

    /// The actions that wait for their launch.
    var all: [VIMID: MonitorActionID] { owed.withLock { $0 } }

    /// Takes note of launches, in place of those of all VIMs that a closure names.
    func owe(
        _ launches: [(vimID: VIMID, actionID: MonitorActionID)],
        insteadOf isForgotten: (VIMID) -> Bool = { _ in false }
    ) {
        owed.withLock { owed in
            owed = owed.filter { !isForgotten($0.key) }
            for launch in launches { owed[launch.vimID] = launch.actionID }
        }
    }

    func settle(_ vimID: VIMID) {
        owed.withLock { $0[vimID] = nil }
    }
}
