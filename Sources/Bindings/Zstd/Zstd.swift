import CZstd

/// Compresses and decompresses whole buffers with Zstandard (RFC 8878).
public enum Zstd {
    /// Compresses bytes into one frame.
    ///
    /// - Parameter level: 1 (fast) to 19 (small).
    public static func compress(_ bytes: UnsafeRawBufferPointer, level: Int32) throws(ZstdError) -> [UInt8] {
        var error: ZstdError?
        let frame = [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) { buffer, count in
            let code = ZSTD_compress(
                buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count, level)
            error = ZstdError(code)
            count = error == nil ? code : 0
        }
        if let error { throw error }
        return frame
    }

    /// Decompresses one frame that is known to hold so many bytes.
    ///
    /// - Throws: ``ZstdError`` if the bytes are no frame, or hold more or fewer bytes.
    public static func decompress(
        _ frame: UnsafeRawBufferPointer, byteCount: Int
    ) throws(ZstdError) -> [UInt8] {
        var error: ZstdError?
        let bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            let code = ZSTD_decompress(buffer.baseAddress, buffer.count, frame.baseAddress, frame.count)
            error = ZstdError(code)
            count = error == nil ? code : 0
        }
        if let error { throw error }
        guard bytes.count == byteCount else { throw ZstdError(words: "a frame is shorter than it says") }
        return bytes
    }
}

/// What the C library answered instead of success, in its own words.
public struct ZstdError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The library's words.
    public let words: String

    init(words: String) { self.words = words }

    /// Nil if the code is no error.
    init?(_ code: Int) {
        guard ZSTD_isError(code) != 0 else { return nil }
        words = String(cString: ZSTD_getErrorName(code))
    }

    /// The library's words.
    public var description: String { words }
}
