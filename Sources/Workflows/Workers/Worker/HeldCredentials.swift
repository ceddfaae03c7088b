import Registry
import Synchronization

/// The credentials of the actions that a worker carries: in memory, for as long as it carries them.
final class HeldCredentials: CredentialSource {
    private struct Entry {
        var actionID: MonitorActionID
        var text: JSONText
    }

    private let entries = Mutex<[VIMID: Entry]>([:])

    func keep(_ text: JSONText?, of vimID: VIMID, for actionID: MonitorActionID) {
        entries.withLock { $0[vimID] = text.map { Entry(actionID: actionID, text: $0) } }
    }

    func forget(_ vimID: VIMID, for actionID: MonitorActionID) {
        entries.withLock { if $0[vimID]?.actionID == actionID { $0[vimID] = nil } }
    }

    func credentials(of vimID: VIMID, for actionID: MonitorActionID) async -> JSONText? {
        entries.withLock { $0[vimID].flatMap { $0.actionID == actionID ? $0.text : nil } }
    }
}
