import Foundation
import Glibc
import Reference

/// A program started beside the benchmark, its output in a file; ended when this value goes.
final class Program {
    private let name: String
    private let log: String
    private let id: Int32
    private var status: Int32?

    /// Call on a thread that lives as long: the kernel kills the program when that thread ends.
    init(_ arguments: [String], log: String) throws {
        name = arguments[0]
        self.log = log
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var id: Int32 = 0
        try check(reference_spawn(name, &pointers, log, &id), name)
        self.id = id
    }

    deinit { stop() }

    /// What it has written so far.
    var output: String { Machine.read(log) }

    /// Waits for its end and returns what it wrote; throws if it failed.
    @discardableResult
    func finish() throws -> String {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        self.status = status
        guard status == 0 else { throw BenchmarkError("\(name) failed: \(output.suffix(1_000))") }
        return output
    }

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
