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

    /// The moment so many milliseconds later.
    package func after(milliseconds: Int64) -> Moment {
        Moment(microseconds: microseconds + milliseconds * 1_000)
    }

    /// How many microseconds passed from `earlier` to this moment; negative if it lies after.
    package func microseconds(since earlier: Moment) -> Int64 { microseconds - earlier.microseconds }
}
