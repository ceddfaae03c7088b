import Projections
package import Registry

/// What a caller was promised: the VIM as it was answered, and the position of the event that made it so.
///
/// Written as one line of words, so that a program that is killed can hand its promises out one by one.
package struct Acknowledgement: Hashable, Sendable {
    /// What was asked for.
    package enum Kind: String, Sendable { case registered, updated, deregistered, reported }

    package var kind: Kind
    package var id: VIMID
    package var position: UInt64
    /// The VIM's wanted action; of a report the action that reported.
    package var actionID: MonitorActionID
    package var version: UInt32
    /// The VIM's description; of a report the answer.
    package var word: String

    package init(
        _ kind: Kind, _ id: VIMID, at position: UInt64, actionID: MonitorActionID, version: UInt32,
        word: String
    ) {
        (self.kind, self.id, self.position) = (kind, id, position)
        (self.actionID, self.version, self.word) = (actionID, version, word)
    }

    /// Reads a line; nil if it is none of ours.
    package init?(line: some StringProtocol) {
        let words = line.split(separator: " ")
        guard words.count == 7, words[0] == "acknowledged", let kind = Kind(rawValue: String(words[1])),
            let id = VIMID(words[2]), let position = UInt64(words[3]),
            let actionID = MonitorActionID(words[4]), let version = UInt32(words[5])
        else { return nil }
        self.init(kind, id, at: position, actionID: actionID, version: version, word: String(words[6]))
    }

    /// The line that ``init(line:)`` reads.
    package var line: String {
        "acknowledged \(kind.rawValue) \(id) \(position) \(actionID) \(version) \(word)"
    }

    /// A sentence if the event at the position does not keep the promise.
    ///
    /// - Parameter table: the registry right after that event.
    func difference(from placed: PlacedEvent, in table: borrowing VIMTable) -> String? {
        guard let vim = table.vim(id), vim.stream == placed.stream else {
            return "the event at \(position) is not of VIM \(id), as was acknowledged"
        }
        if kind == .reported {
            guard case .vimStatusReported(let report) = placed.event, report.actionID == actionID,
                word == (report.verdict == .accepted ? report.status.word : report.verdict.word)
            else { return "the event at \(position) is not the report that was answered \(word)" }
            return nil
        }
        guard vim.isRegistered == (kind != .deregistered), vim.actionID == actionID,
            vim.version == version, vim.configuration.description == word
        else { return "at \(position) VIM \(id) is not as it was acknowledged (\(kind.rawValue) \(word))" }
        return nil
    }
}
