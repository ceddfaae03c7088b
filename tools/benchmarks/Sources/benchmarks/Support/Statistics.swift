import Glibc
import Histogram

/// Median and range of what was measured in several rounds.
struct Spread {
    var median: Double
    /// What a quarter and three quarters of the rounds did not exceed: the middle half of all rounds.
    var lowerQuartile: Double
    var upperQuartile: Double
    var least: Double
    var most: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        precondition(!sorted.isEmpty, "a spread of nothing")
        func quantile(_ share: Double) -> Double {
            let place = share * Double(sorted.count - 1)
            let below = sorted[Int(place)]
            return below + (sorted[min(Int(place) + 1, sorted.count - 1)] - below)
                * (place - place.rounded(.down))
        }
        median = quantile(0.5)
        lowerQuartile = quantile(0.25)
        upperQuartile = quantile(0.75)
        least = sorted[0]
        most = sorted[sorted.count - 1]
    }
}

/// The latencies of a workload in an HDR histogram: three significant digits, whatever the range.
struct Latencies {
    private var histogram = Histogram<UInt32>(
        lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000_000,
        numberOfSignificantValueDigits: .three)

    /// Counts latencies in nanoseconds.
    mutating func add(_ nanoseconds: [UInt64]) {
        for latency in nanoseconds { histogram.record(max(1, latency)) }
    }

    /// The latency in microseconds that so many per cent of all calls did not exceed.
    func microseconds(at percentile: Double) -> Double {
        histogram.totalCount == 0 ? .nan : Double(histogram.valueAtPercentile(percentile)) / 1_000
    }
}

/// SplitMix64: the same seed, the same run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Nanoseconds of the monotonic clock.
func nowNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Seconds that the body took, and what it gave.
func timed<Result>(_ body: () throws -> Result) rethrows -> (seconds: Double, result: Result) {
    let start = nowNanoseconds()
    let result = try body()
    return (Double(nowNanoseconds() - start) / 1e9, result)
}

/// Seconds of this thread's processor time that the body took, and what it gave: for work that never waits the
/// same as the time on a quiet machine, and still true on a busy one.
func timedOnProcessor<Result>(_ body: () throws -> Result) rethrows -> (seconds: Double, result: Result) {
    let start = seconds(of: CLOCK_THREAD_CPUTIME_ID)
    let result = try body()
    return (seconds(of: CLOCK_THREAD_CPUTIME_ID) - start, result)
}

/// Seconds of processor time that this process has used.
func processorSeconds() -> Double { seconds(of: CLOCK_PROCESS_CPUTIME_ID) }

/// Seconds of processor time that ended child processes have used.
func childProcessorSeconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage)
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
}

private func seconds(of clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
