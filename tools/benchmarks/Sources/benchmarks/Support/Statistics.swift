import Glibc

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

/// All latencies of a workload, sorted once; exact where a histogram would round.
struct Latencies {
    private let sorted: [UInt64]

    init(nanoseconds: [UInt64]) { sorted = nanoseconds.sorted() }

    /// The latency in microseconds that so many of all calls (0 to 1) did not exceed.
    func microseconds(at share: Double) -> Double {
        guard !sorted.isEmpty else { return .nan }
        let rank = Int((Double(sorted.count) * share).rounded(.up)) - 1
        return Double(sorted[max(0, min(sorted.count - 1, rank))]) / 1_000
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

private func seconds(of clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
