public import Registry

/// A place where two tables part.
public struct Difference: Hashable, Sendable {
    /// The VIM whose rows part; nil if it is not a VIM's row.
    public var vimID: VIMID?
    /// What parts.
    public var field: String
    /// What the first table has.
    public var first: String
    /// What the second table has.
    public var second: String

    /// All parts at once.
    public init(vimID: VIMID?, field: String, first: String, second: String) {
        self.vimID = vimID
        self.field = field
        self.first = first
        self.second = second
    }
}

extension VIMTable {
    /// Compares row by row; empty if the tables are equal.
    public func differences(from other: VIMTable) -> [Difference] {
        var found: [Difference] = []
        func compare(_ id: VIMID?, _ field: String, _ first: some Equatable, _ second: some Equatable) {
            let (first, second) = (String(reflecting: first), String(reflecting: second))
            if first != second {
                found.append(Difference(vimID: id, field: field, first: first, second: second))
            }
        }
        compare(nil, "position", position, other.position)
        compare(nil, "last position in stream 0", lastConductorPosition, other.lastConductorPosition)
        compare(nil, "VIM count", ids.count, other.ids.count)
        for row in 0..<min(ids.count, other.ids.count) {
            let (mine, theirs) = (vim(row: row), other.vim(row: row))
            if mine == theirs, lastPositions[row] == other.lastPositions[row] { continue }
            let id = ids[row]
            compare(id, "id", mine.id, theirs.id)
            compare(id, "configuration", mine.configuration, theirs.configuration)
            compare(id, "version", mine.version, theirs.version)
            compare(id, "status", mine.status.word, theirs.status.word)
            compare(id, "finding", mine.finding, theirs.finding)
            compare(id, "action_id", mine.actionID.description, theirs.actionID.description)
            compare(id, "created_at", mine.createdAt, theirs.createdAt)
            compare(id, "updated_at", mine.updatedAt, theirs.updatedAt)
            compare(id, "reported_at", mine.reportedAt, theirs.reportedAt)
            compare(id, "deregistered_at", mine.deregisteredAt, theirs.deregisteredAt)
            compare(id, "last position", lastPositions[row], other.lastPositions[row])
        }
        compare(nil, "history entry count", entries.count, other.entries.count)
        for (mine, theirs) in zip(entries, other.entries) where mine != theirs {
            compare(vimID(ofStream: mine.stream), "history entry at \(mine.position)", mine, theirs)
        }
        return found
    }
}
