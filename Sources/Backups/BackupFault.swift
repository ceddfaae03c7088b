#if canImport(Glibc)
    import Glibc
#endif

/// Why a backup was not made or not restored: one sentence that says what to do.
public struct BackupFault: Error, Hashable, Sendable {
    /// One sentence.
    public let sentence: String

    /// A fault of this sentence.
    public init(_ sentence: String) { self.sentence = sentence }

    /// What the system said of a path.
    init(system path: String, advice: String) {
        let code = errno
        let place = code == ENOSPC ? ": no space left on the device" : " (\(String(cString: strerror(code))))"
        self.init("\(path) cannot be used\(place): \(advice)")
    }
}
