/// What a node says that brings its peer a copy of its log.
public enum CopyPart: Hashable, Sendable {
    /// A copy begins, of about so many bytes; what came of another one is void.
    case begin(byteCount: UInt64)
    /// A file begins; its name has at most ``WireLimits/textByteMax`` bytes.
    case file(name: String)
    /// Its next bytes, at most ``WireLimits/copyByteMax``.
    case bytes([UInt8])
    /// The file ends; the SHA-256 of its bytes in 64 hexadecimal digits.
    case fileEnd(sha256: String)
    /// All files have come.
    case end
}
