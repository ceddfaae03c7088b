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
    /// - Parameter name: shown by `ps -L` and debuggers; cut to 15 bytes.
    public init(name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(name: name, body: body))
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
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
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
            body()
        }
    }
}
