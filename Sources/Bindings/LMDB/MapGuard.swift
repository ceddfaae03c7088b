#if canImport(Glibc)
    import Glibc
#endif

/// Turns a crash on a damaged page into one sentence.
///
/// LMDB 0.9 has no page checksums: it follows what a page says, and a page that was overwritten sends it
/// beyond the file (SIGBUS), to an address of nobody's (SIGSEGV) or into one of its own assertions. Nothing
/// can be saved then, but an operator can be told what to do. Meant for programs; a library must not take
/// signals from its host, so nobody installs this by itself.
public enum MapGuard {
    /// Which memory faults are taken for a damaged page.
    public enum Scope: Sendable {
        /// All: for programs that do nothing but read the file.
        case everything
        /// Those within LMDB's own code, and those of a file that ends too early: for programs that do much
        /// else, whose own mistakes must be seen as what they are.
        case library
    }

    /// From now on such a fault, or a failed assertion of LMDB's, writes the sentence to standard error and
    /// ends the process with the exit code.
    public static func install(sentence: String, exitCode: Int32, scope: Scope) {
        let bytes = Array((sentence + "\n").utf8)
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        _ = copy.initialize(from: bytes)
        message = UnsafeBufferPointer(copy)  // never freed: the handler may read it at any time
        code = exitCode
        library = scope == .library ? libraryAddresses() : 0..<UInt.max
        for signal in [SIGBUS, SIGSEGV] {
            var action = sigaction()
            action.sa_flags = SA_SIGINFO
            action.__sigaction_handler.sa_sigaction = { signal, _, context in
                MapGuard.handle(signal, context)
            }
            sigaction(signal, &action, nil)
        }
    }

    // What the handler reads. Safe without a lock: a program installs the guard from one thread, and a
    // handler that runs meanwhile sees the old sentence or the new one.
    nonisolated(unsafe) private static var message = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    nonisolated(unsafe) private static var code: Int32 = 1
    nonisolated(unsafe) private static var library: Range<UInt> = 0..<UInt.max

    /// Only calls that are safe in a signal handler: no allocation, no locks.
    static func end() {
        guard message.count > 0 else { return }
        _ = write(STDERR_FILENO, message.baseAddress, message.count)
        _exit(code)
    }

    private static func handle(_ signal: Int32, _ context: UnsafeMutableRawPointer?) {
        // The map of the data file is the only file anybody maps and reads while it may shrink.
        if signal == SIGBUS || library.contains(instruction(in: context)) { end() }
        // Somebody else's: it happens again as soon as this returns, and ends the process as it always did.
        var action = sigaction()
        action.__sigaction_handler.sa_handler = SIG_DFL
        sigaction(signal, &action, nil)
    }

    /// Where the thread was when the signal came.
    private static func instruction(in context: UnsafeMutableRawPointer?) -> UInt {
        guard let context = context?.assumingMemoryBound(to: ucontext_t.self) else { return 0 }
        #if arch(x86_64)
            return UInt(truncatingIfNeeded: context.pointee.uc_mcontext.gregs.16)  // REG_RIP
        #elseif arch(arm64)
            return UInt(truncatingIfNeeded: context.pointee.uc_mcontext.pc)
        #else
            return 0
        #endif
    }

    /// Where the library's code lies; empty if it is not known.
    private static func libraryAddresses() -> Range<UInt> {
        guard let maps = fopen("/proc/self/maps", "r") else { return 0..<0 }
        defer { fclose(maps) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var (low, high) = (UInt.max, UInt.min)
        while getline(&line, &capacity, maps) > 0 {
            guard let text = line, strstr(text, "/liblmdb.so") != nil else { continue }
            var rest: UnsafeMutablePointer<CChar>?
            low = min(low, strtoul(text, &rest, 16))
            if let rest { high = max(high, strtoul(rest + 1, nil, 16)) }
        }
        return low < high ? low..<high : 0..<0
    }
}
