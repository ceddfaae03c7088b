/// A moment, in whole microseconds since 1970-01-01T00:00:00Z; leap seconds are not counted (POSIX).
public struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Microseconds since 1970.
    public let microseconds: UInt64

    /// A moment so many microseconds after 1970 began.
    @inlinable
    public init(microseconds: UInt64) { self.microseconds = microseconds }

    /// RFC 3339 in UTC with six digits of fraction: `2026-11-23T01:29:53.175906Z`.
    public var description: String { text(separator: "T") + "Z" }

    /// As Tacker writes it, in UTC without saying so: `2026-11-23 01:29:53.175906`.
    public var spaced: String { text(separator: " ") }

    /// The moment so much later; a duration finer than a microsecond is cut.
    public func advanced(by duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let delta = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        return Timestamp(microseconds: UInt64(max(0, Int64(microseconds) + delta)))
    }

    /// Orders moments by time.
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    private func text(separator: String) -> String {
        let seconds = microseconds / 1_000_000
        let (year, month, day) = Timestamp.civilDate(daysSince1970: seconds / 86_400)
        let time = seconds % 86_400
        func padded(_ number: UInt64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))\(separator)"
            + "\(padded(time / 3_600, 2)):\(padded(time / 60 % 60, 2)):\(padded(time % 60, 2))"
            + ".\(padded(microseconds % 1_000_000, 6))"
    }

    /// Gregorian date of a day number.
    ///
    /// Counting years from 1 March puts the leap day last, which makes the month a linear function of the
    /// day within the year.
    private static func civilDate(daysSince1970 days: UInt64) -> (year: UInt64, month: UInt64, day: UInt64) {
        let shifted = days + 719_468  // days since 0000-03-01
        let era = shifted / 146_097  // 400 years
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153  // 0 is March
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
