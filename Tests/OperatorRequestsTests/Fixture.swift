import Foundation
import Logging
import OperatorRequests
import Registry
import ServiceLifecycle
import Synchronization

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Counts to a number, or fails there.
struct Counting: OperatorTask {
    struct Wish: Codable, Sendable {
        var upTo: UInt64
        var failsAtTheEnd = false
    }

    struct Outcome: Codable, Hashable, Sendable {
        var counted: UInt64
        var text: String
    }

    static let path = "test/count"

    func run(_ wish: Wish, progress: @escaping @Sendable (OperatorProgress) -> Void)
        async throws(OperatorFailure) -> Outcome
    {
        for number in 0..<wish.upTo {
            progress(OperatorProgress(done: number + 1, total: wish.upTo, unit: "numbers"))
            await Task.yield()
        }
        if wish.failsAtTheEnd { throw OperatorFailure("no further than \(wish.upTo): choose less") }
        return Outcome(counted: wish.upTo, text: "line\nwith \"ends\" ☃")
    }
}

/// Never ends by itself.
struct Waiting: OperatorTask {
    static let path = "test/wait"
    /// Told when it has begun, and when it was cancelled.
    let feed: AsyncStream<String>.Continuation

    func run(_ wish: Bool, progress: @escaping @Sendable (OperatorProgress) -> Void)
        async throws(OperatorFailure) -> Bool
    {
        feed.yield("begun")
        do { try await Task.sleep(for: .seconds(3_600)) } catch { feed.yield("cancelled") }
        throw OperatorFailure("stopped with the server")
    }
}

/// Runs a door beside the body and stops it gracefully.
func withDoor(
    in directory: String, _ tasks: [any OperatorTask] = [Counting()],
    _ body: () async throws -> Void
) async throws {
    let door = OperatorDoor(directory: directory, tasks: tasks, logger: quiet)
    let group = ServiceGroup(
        configuration: .init(services: [.init(service: door)], logger: quiet))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        do {
            try await eventually("the door answers") { OperatorClient(directory: directory) != nil }
            try await body()
        } catch {
            await group.triggerGracefulShutdown()
            throw error
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}

/// Asks again until the answer is yes; the limit only ends a broken run.
func eventually(_ what: String, _ ask: () async throws -> Bool) async throws {
    for _ in 0..<6_000 {
        if try await ask() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw OperatorFailure("waited in vain: \(what)")
}

/// A server's socket as it is after kill -9: there, and refusing.
func leaveStaleSocket(_ path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    _ = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    close(descriptor)
}
