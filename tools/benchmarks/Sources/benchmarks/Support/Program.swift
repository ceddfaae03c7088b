import Foundation
import Glibc
import Reference
import Synchronization

/// A program started beside the benchmark, its output in a file; ended when this value goes.
final class Program {
    private let name: String
    private let log: String
    private let id: Int32
    private var status: Int32?

    init(_ arguments: [String], log: String) throws {
        name = arguments[0]
        self.log = log
        let (code, id) = Spawner.shared.spawn(arguments, log)
        try check(code, name)
        self.id = id
    }

    deinit { stop() }

    /// What it has written so far.
    var output: String { Machine.read(log) }

    /// Seconds of processor time used so far; not a number once it has ended.
    var processorSeconds: Double { Machine.processorSeconds(of: id) }

    /// Waits for its end and returns what it wrote; throws if it failed.
    @discardableResult
    func finish() throws -> String {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        self.status = status
        guard status == 0 else { throw BenchmarkError("\(name) failed: \(output.suffix(1_000))") }
        return output
    }

    /// Sends it a signal and waits for nothing.
    func send(signal: Int32) { kill(id, signal) }

    /// Asks it to end and waits for that.
    func stop(signal: Int32 = SIGTERM) {
        guard status == nil else { return }
        kill(id, signal)
        let end = nowNanoseconds() + 15_000_000_000
        var status: Int32 = 0
        while waitpid(id, &status, WNOHANG) == 0 {
            if nowNanoseconds() > end { kill(id, SIGKILL) }
            usleep(5_000)
        }
        self.status = status
    }

    /// Runs a program to its end and returns what it wrote.
    @discardableResult
    static func run(_ arguments: [String], log: String) throws -> String {
        try Program(arguments, log: log).finish()
    }
}

/// The thread that starts all programs, and never ends: the kernel kills a program with the thread that started it.
private final class Spawner: Sendable {
    static let shared = Spawner()

    private struct Order: Sendable {
        var arguments: [String] = []
        var log = ""
        var code: Int32 = 0
        var id: Int32 = 0
    }

    private let order = Mutex(Order())
    private let turn = Mutex(())
    private let asked = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)

    private init() {
        Thread { [self] in
            while true {
                asked.wait()
                order.withLock { order in
                    var pointers: [UnsafeMutablePointer<CChar>?] = order.arguments.map { strdup($0) } + [nil]
                    order.code = reference_spawn(order.arguments[0], &pointers, order.log, &order.id)
                    for pointer in pointers { free(pointer) }
                }
                done.signal()
            }
        }.start()
    }

    func spawn(_ arguments: [String], _ log: String) -> (code: Int32, id: Int32) {
        turn.withLock { _ in
            order.withLock { $0 = Order(arguments: arguments, log: log) }
            asked.signal()
            done.wait()
            return order.withLock { ($0.code, $0.id) }
        }
    }
}
