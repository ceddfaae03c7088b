import Identity

/// How many data keys the master key in a file opens.
struct OpenedKeys {
    let count: Int
    let openedCount: Int
    private let file: String
    private let hasKey: Bool

    /// - Parameter counts: data keys by the fingerprint of their master key.
    init(_ counts: [String: Int], file: String) {
        let present = (try? MasterKey(reading: file))?.fingerprintText
        self.file = file
        hasKey = present != nil
        count = counts.values.reduce(0, +)
        openedCount = present.flatMap { counts[$0] } ?? 0
    }

    var sentence: String {
        if openedCount == count { return "the master key in \(file) opens all \(count) data keys" }
        guard hasKey else {
            return
                "there is no master key in \(file): put the one of that time there before the server starts"
        }
        return
            "the master key in \(file) opens \(openedCount) of \(count) data keys: the others need the one "
            + "they were wrapped under"
    }
}
