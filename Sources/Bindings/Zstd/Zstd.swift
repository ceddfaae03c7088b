import CZstd

/// The safe face of libzstd: whole buffers in, whole buffers out.
public enum Zstd {
    /// The library's version, such as 10504 for 1.5.4.
    public static var libraryVersion: UInt32 { UInt32(ZSTD_versionNumber()) }
}
