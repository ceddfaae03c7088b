#if canImport(Glibc)
    import Glibc
#endif

/// A thread of its own for a C library that blocks or is bound to a thread.
///
/// Such work never runs on Swift's cooperative pool: it would starve everybody else there.
public struct DedicatedThread: Sendable {
    private let handle: pthread_t

    /// Starts a thread that runs the body to its end.
    ///
    /// - Parameters:
    ///   - name: shown by `ps -L` and debuggers; cut to 15 bytes.
    ///   - yields: lets every other thread go first where there are too few processors.
    public init(name: String, yields: Bool = false, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(name: name, yields: yields, body: body))
        var handle = pthread_t()
        let code = pthread_create(
            &handle, nil,
            { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, box.toOpaque())
        precondition(code == 0, "no thread could be started: \(String(cString: strerror(code)))")
        self.handle = handle
    }

    /// Waits until the body has ended.
    ///
    /// Call once, and not from the cooperative pool unless it ends soon.
    public func join() { pthread_join(handle, nil) }

    /// Lets the thread's remains go when its body ends; nobody may ``join()`` it then.
    public func detach() { pthread_detach(handle) }

    private final class Box: Sendable {
        /// Of a thread that yields: far enough from 0 to be left a tenth of a busy processor.
        private static let niceness: Int32 = 10

        let name: String
        let yields: Bool
        let body: @Sendable () -> Void

        init(name: String, yields: Bool, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.yields = yields
            self.body = body
        }

        func run() {
            // The C library's call for this is a GNU extension that Swift does not import.
            let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
            if descriptor >= 0 {
                let bytes = Array(name.utf8.prefix(15))
                _ = write(descriptor, bytes, bytes.count)
                close(descriptor)
            }
            // On Linux niceness is a thread's own, 0 means the calling one; if refused, it stays as it was.
            if yields { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Box.niceness) }
            body()
        }
    }
}
