import Foundation
import Glibc
import Synchronization

/// Threads that compute at nice 10 beside what is measured, as on a machine that has other work, too.
final class Bystanders: Sendable {
    private let isStopping = Atomic(false)

    /// They begin at once.
    init(_ count: Int) {
        for _ in 0..<count {
            Thread { [self] in
                // On Linux niceness is a thread's own, 0 means the calling one.
                _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
                while !isStopping.load(ordering: .relaxed) {}
            }.start()
        }
    }

    func stop() { isStopping.store(true, ordering: .relaxed) }
}
