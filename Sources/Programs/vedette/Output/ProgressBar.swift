import Glibc
import Registry
import Synchronization

/// One line that is drawn again and again.
struct ProgressBar {
    private let isShown: Bool
    private let began = ContinuousClock.now
    private var isDrawn = false

    init(isShown: Bool) { self.isShown = isShown }

    mutating func show(_ position: UInt64, of end: UInt64, unit: String = "events") {
        guard isShown, end > 0 else { return }
        isDrawn = true
        let seconds = max(Double((ContinuousClock.now - began) / .milliseconds(1)) / 1_000, 0.001)
        let width = 30
        let filled = min(width, Int(Double(width) * Double(position) / Double(end)))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        Terminal.draw("\r\(bar) \(100 * position / end) %  \(UInt64(Double(position) / seconds)) \(unit)/s ")
    }

    mutating func finish() {
        if isDrawn { Terminal.draw("\r\u{1B}[K") }
    }
}

/// A progress bar that several threads may draw, shown on a terminal only.
final class SharedProgressBar: Sendable {
    private let bar: Mutex<ProgressBar>

    init(isShown: Bool) { bar = Mutex(ProgressBar(isShown: isShown && isatty(STDERR_FILENO) == 1)) }

    func show(_ position: UInt64, of end: UInt64) { bar.withLock { $0.show(position, of: end) } }

    func show(_ step: OperatorProgress) {
        bar.withLock { $0.show(step.done, of: step.total, unit: step.unit) }
    }

    func finish() { bar.withLock { $0.finish() } }
}
