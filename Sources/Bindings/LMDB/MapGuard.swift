#if canImport(Glibc)
    import Glibc
#endif

/// Turns a crash on a damaged page into one sentence.
///
/// LMDB 0.9 has no page checksums: it follows what a page says, and a page that was overwritten sends it
/// beyond the file (SIGBUS), to an address of nobody's (SIGSEGV) or into one of its own assertions. Nothing
/// can be saved then, but an operator can be told what to do. Meant for programs while they open and read a
/// file; a library must not take signals from its host, so nobody installs this by itself.
public enum MapGuard {
    /// From now on a memory fault, or a failed assertion of LMDB's, writes the sentence to standard error and
    /// ends the process with the exit code.
    public static func install(sentence: String, exitCode: Int32) {
        let bytes = Array((sentence + "\n").utf8)
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        _ = copy.initialize(from: bytes)
        message = UnsafeBufferPointer(copy)  // never freed: the handler may read it at any time
        code = exitCode
        for signal in signals {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in MapGuard.end() }
            sigaction(signal, &action, nil)
        }
    }

    /// Memory faults do again what they do by default.
    public static func remove() {
        message = UnsafeBufferPointer(start: nil, count: 0)
        for signal in signals {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = SIG_DFL
            sigaction(signal, &action, nil)
        }
    }

    private static let signals = [SIGBUS, SIGSEGV]

    // What the handler reads. Safe without a lock: a program installs the guard from one thread, and a
    // handler that runs meanwhile sees the old sentence or the new one.
    nonisolated(unsafe) private static var message = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    nonisolated(unsafe) private static var code: Int32 = 1

    /// Only calls that are safe in a signal handler: no allocation, no locks.
    static func end() {
        guard message.count > 0 else { return }
        _ = write(STDERR_FILENO, message.baseAddress, message.count)
        _exit(code)
    }
}
