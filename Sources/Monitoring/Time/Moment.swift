/// A point of a clock that never goes back, in microseconds since that clock's own beginning.
///
/// Eight bytes instead of the sixteen of `ContinuousClock.Instant`: every watched VIM keeps several.
package struct Moment: Hashable, Comparable, Sendable {
    /// Microseconds since the clock's beginning.
    package var microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }

    /// A moment that never comes.
    package static let never = Moment(microseconds: .max)

    package static func < (left: Moment, right: Moment) -> Bool { left.microseconds < right.microseconds }

    /// The moment so many milliseconds later; ``never`` stays never.
    package func after(milliseconds: Int64) -> Moment {
        let (sum, overflow) = microseconds.addingReportingOverflow(milliseconds * 1_000)
        return overflow ? .never : Moment(microseconds: sum)
    }

    /// How many microseconds passed from `earlier` to this moment; negative if it lies after.
    ///
    /// Differences beyond the range stop at its end.
    package func microseconds(since earlier: Moment) -> Int64 {
        let (difference, overflow) = microseconds.subtractingReportingOverflow(earlier.microseconds)
        return overflow ? (self < earlier ? .min : .max) : difference
    }
}
