extension MonitorSettings {
    /// What an interval may be, in milliseconds: 100 ms to one day.
    ///
    /// Faster than this is load and no more knowledge; slower than this nobody would call watching.
    public static let intervalMillisecondsRange: ClosedRange<UInt32> = 100...86_400_000
    /// What a timeout may be, in milliseconds: 10 ms to five minutes.
    public static let timeoutMillisecondsRange: ClosedRange<UInt32> = 10...300_000
    /// How many equal results in a row a threshold may ask for.
    public static let thresholdRange: ClosedRange<UInt32> = 1...100

    /// One sentence that says which setting is out of its range and what the range is; nil if all is well.
    public var fault: String? {
        MonitorSettings.fault(
            of: intervalMilliseconds, named: "interval", in: MonitorSettings.intervalMillisecondsRange,
            unit: "milliseconds")
            ?? MonitorSettings.fault(
                of: timeoutMilliseconds, named: "timeout", in: MonitorSettings.timeoutMillisecondsRange,
                unit: "milliseconds")
            ?? MonitorSettings.fault(
                of: failureThreshold, named: "failure_threshold", in: MonitorSettings.thresholdRange)
            ?? MonitorSettings.fault(
                of: successThreshold, named: "success_threshold", in: MonitorSettings.thresholdRange)
    }

    private static func fault(
        of value: UInt32?, named name: String, in range: ClosedRange<UInt32>, unit: String = ""
    ) -> String? {
        guard let value, !range.contains(value) else { return nil }
        let suffix = unit.isEmpty ? "" : " \(unit)"
        return "\(name) must be between \(range.lowerBound) and \(range.upperBound)\(suffix), not \(value)"
    }
}
