/// Which deliveries of one connection still wait, so that many are acknowledged with one frame.
///
/// "Up to and including" may be said only when nothing below is open; what was done out of order is
/// acknowledged by itself. Pure.
package struct AcknowledgementLedger: Sendable {
    /// One frame to send.
    package struct Acknowledgement: Hashable, Sendable {
        /// Which delivery.
        package var number: UInt64
        /// Whether it also stands for all before it.
        package var isMultiple: Bool

        /// Pairs the two.
        package init(number: UInt64, isMultiple: Bool) {
            self.number = number
            self.isMultiple = isMultiple
        }
    }

    /// In order of number; the broker counts up.
    private var open: [(number: UInt64, isDone: Bool)] = []
    private var doneCount = 0

    /// Nothing was delivered yet.
    package init() {}

    /// How many deliveries are not yet done.
    package var openCount: Int { open.count - doneCount }

    /// Takes note of a delivery.
    package mutating func delivered(_ number: UInt64) {
        precondition(open.last.map { $0.number < number } ?? true, "the broker counts deliveries up")
        open.append((number, false))
    }

    /// Takes note that a delivery is done; says nothing to the broker yet.
    package mutating func finished(_ number: UInt64) {
        guard let index = index(of: number), !open[index].isDone else { return }
        open[index].isDone = true
        doneCount += 1
    }

    /// The frames that acknowledge all that is done, as few as possible.
    package mutating func takeAcknowledgements() -> [Acknowledgement] {
        guard doneCount > 0 else { return [] }
        var frames: [Acknowledgement] = []
        let prefix = open.prefix { $0.isDone }
        if let last = prefix.last { frames.append(.init(number: last.number, isMultiple: prefix.count > 1)) }
        var rest: [(number: UInt64, isDone: Bool)] = []
        for entry in open.dropFirst(prefix.count) {
            if entry.isDone {
                frames.append(.init(number: entry.number, isMultiple: false))
            } else {
                rest.append(entry)
            }
        }
        open = rest
        doneCount = 0
        return frames
    }

    private func index(of number: UInt64) -> Int? {
        var (low, high) = (0, open.count)
        while low < high {
            let middle = (low + high) / 2
            if open[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < open.count && open[low].number == number ? low : nil
    }
}
