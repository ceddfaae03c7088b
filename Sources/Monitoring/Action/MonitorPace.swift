package import Registry

/// How one action works, every setting decided: what ``MonitorSettings`` leaves out is filled in.
package struct MonitorPace: Hashable, Sendable {
    /// From one probe's start to the next, in milliseconds.
    package var intervalMilliseconds: UInt32
    /// How long one probe may take, in milliseconds.
    package var timeoutMilliseconds: UInt32
    /// From one regular report to the next, in milliseconds.
    package var reportIntervalMilliseconds: UInt32
    /// So many failures in a row make the endpoint unreachable.
    package var failureThreshold: UInt8
    /// So many answers in a row make the endpoint reachable.
    package var successThreshold: UInt8

    /// What holds when neither the VIM nor the server says anything.
    package static let builtInDefaults = MonitorSettings(
        intervalMilliseconds: 10_000, timeoutMilliseconds: 5_000, failureThreshold: 3, successThreshold: 1)

    /// While the newest result disagrees with the status, probes follow each other at least this fast, so
    /// that a dead endpoint is told within seconds whatever the interval is.
    package static let retryMillisecondsMax: UInt32 = 1_000

    /// Fills settings from defaults; values out of range are moved to the nearest one allowed, because a
    /// monitor that runs a little differently beats one that does not run.
    package init(_ settings: MonitorSettings, reportIntervalMilliseconds: UInt32) {
        let filled = settings.filled(from: MonitorPace.builtInDefaults)
        func clamped(_ value: UInt32?, _ range: ClosedRange<UInt32>) -> UInt32 {
            min(max(value ?? range.lowerBound, range.lowerBound), range.upperBound)
        }
        intervalMilliseconds = clamped(
            filled.intervalMilliseconds, MonitorSettings.intervalMillisecondsRange)
        timeoutMilliseconds = clamped(filled.timeoutMilliseconds, MonitorSettings.timeoutMillisecondsRange)
        failureThreshold = UInt8(clamped(filled.failureThreshold, MonitorSettings.thresholdRange))
        successThreshold = UInt8(clamped(filled.successThreshold, MonitorSettings.thresholdRange))
        self.reportIntervalMilliseconds = max(1, reportIntervalMilliseconds)
    }

    /// From one probe's start to the next while the newest result disagrees with the status.
    package var retryMilliseconds: UInt32 { min(intervalMilliseconds, MonitorPace.retryMillisecondsMax) }
}
