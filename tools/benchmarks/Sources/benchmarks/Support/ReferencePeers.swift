import Reference

/// Throws the sentence of a C function's error number.
func check(_ code: Int32, _ what: String) throws {
    guard code == 0 else { throw BenchmarkError("\(what): \(String(cString: reference_error(code)))") }
}

/// The plain C loop over LMDB, which may seal its batches as the log does.
final class ReferenceLog {
    private let handle: OpaquePointer

    init(path: String, streams: Int, seed: UInt64, sealing: Bool = false) throws {
        var handle: OpaquePointer?
        try check(reference_log_open(path, UInt32(streams), seed, sealing ? 1 : 0, &handle), path)
        guard let handle else { throw BenchmarkError("\(path): no log was opened") }
        self.handle = handle
    }

    deinit { reference_log_close(handle) }

    /// Makes one commit per element and returns the seconds they took.
    func append(_ eventCounts: [UInt32]) throws -> Double {
        var nanoseconds: UInt64 = 0
        try check(
            reference_log_append(handle, eventCounts, eventCounts.count, &nanoseconds), "the C log's append")
        return Double(nanoseconds) / 1e9
    }

    /// Bytes of the file in use.
    var usedByteCount: Int { Int(reference_log_used_bytes(handle)) }
}

/// The raw file with pwrite and fdatasync, the bound of everything that syncs once per batch.
final class ReferenceFile {
    /// Written from end to end before the measurement; the writing begins anew when the end is reached.
    static let byteCount = 256 << 20

    private let handle: OpaquePointer

    init(path: String) throws {
        var handle: OpaquePointer?
        try check(reference_file_open(path, ReferenceFile.byteCount, &handle), path)
        guard let handle else { throw BenchmarkError("\(path): no file was opened") }
        self.handle = handle
    }

    deinit { reference_file_close(handle) }

    /// Writes and syncs one batch per element and returns the seconds they took.
    func append(_ eventCounts: [UInt32]) throws -> Double {
        var nanoseconds: UInt64 = 0
        try check(
            reference_file_append(handle, eventCounts, eventCounts.count, &nanoseconds), "the raw file")
        return Double(nanoseconds) / 1e9
    }
}

/// The plain C walks over a log's file, which nobody may write meanwhile.
///
/// Kept open over all rounds, so that mapping the file is paid once, as by the log it is compared with.
final class ReferenceReader {
    private let handle: OpaquePointer
    private let path: String

    init(path: String) throws {
        self.path = path
        var handle: OpaquePointer?
        try check(reference_reader_open(path, &handle), path)
        guard let handle else { throw BenchmarkError("\(path): no log was opened") }
        self.handle = handle
    }

    deinit { reference_reader_close(handle) }

    func walk(applying: Bool) throws -> reference_walk {
        var walk = reference_walk()
        try check(reference_scan(handle, applying ? 1 : 0, &walk), path)
        return walk
    }

    /// The event counts of the batches that begin after a position.
    func batchSizes(after position: UInt64, most: Int) throws -> [UInt32] {
        try [UInt32](unsafeUninitializedCapacity: most) { buffer, count in
            try check(reference_batch_sizes(handle, position, buffer.baseAddress, most, &count), path)
        }
    }
}

/// SQLite in WAL mode with synchronous=FULL.
final class ReferenceSQLite {
    private let handle: OpaquePointer

    init(path: String, streams: Int, seed: UInt64) throws {
        var handle: OpaquePointer?
        try check(reference_sqlite_open(path, UInt32(streams), seed, &handle), path)
        guard let handle else { throw BenchmarkError("\(path): no database was opened") }
        self.handle = handle
    }

    deinit { reference_sqlite_close(handle) }

    /// Makes one transaction per element and returns the seconds they took.
    func append(_ eventCounts: [UInt32]) throws -> Double {
        var nanoseconds: UInt64 = 0
        try check(
            reference_sqlite_append(handle, eventCounts, eventCounts.count, &nanoseconds), "SQLite's append")
        return Double(nanoseconds) / 1e9
    }

    /// Reads all rows and keeps a dense table.
    func replay() throws -> reference_walk {
        var walk = reference_walk()
        try check(reference_sqlite_replay(handle, &walk), "SQLite's replay")
        return walk
    }
}

/// Bytes per second of libcrypto's SHA-256 on so many threads at once.
///
/// By the clock, of all threads together, and by a second of processor time.
func sha256BytesPerSecond(
    threads: Int, seconds: Double
) throws -> (elapsed: Double, processor: Double) {
    var rate = 0.0
    var processorRate = 0.0
    try check(reference_sha256(UInt32(threads), UInt64(seconds * 1e9), &rate, &processorRate), "SHA-256")
    return (rate, processorRate)
}

/// Loopback endpoints that answer every GET with 200.
final class Endpoints {
    let port: Int
    private let handle: OpaquePointer

    init(count: Int) throws {
        var handle: OpaquePointer?
        var port: UInt16 = 0
        try check(reference_endpoints_start(UInt32(count), &handle, &port), "the loopback endpoints")
        guard let handle else { throw BenchmarkError("no endpoints were started") }
        self.handle = handle
        self.port = Int(port)
    }

    deinit { reference_endpoints_stop(handle) }

    /// What to register as `auth_url`.
    func url(_ index: Int) -> String {
        var text = [CChar](repeating: 0, count: 16)
        reference_endpoint_address(UInt32(index), &text)
        let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "http://\(address):\(port)/v3"
    }

    /// Connections to it are refused from now on.
    func close(_ index: Int) { reference_endpoints_close(handle, UInt32(index)) }

    /// How many requests were answered so far.
    var servedCount: Int { Int(reference_endpoints_served(handle)) }
}

/// A TCP connection on loopback: what a frame and its answer take, and what many bytes do.
final class ReferenceLoopback {
    private let handle: OpaquePointer

    /// - Parameters:
    ///   - there: bytes of what is sent.
    ///   - back: bytes of its answer.
    init(there: Int, back: Int) throws {
        var handle: OpaquePointer?
        try check(reference_loopback_open(there, back, &handle), "loopback")
        guard let handle else { throw BenchmarkError("no connection was made on loopback") }
        self.handle = handle
    }

    deinit { reference_loopback_close(handle) }

    /// Sends and waits for the answer; nanoseconds.
    func roundTrip() throws -> UInt64 {
        var nanoseconds: UInt64 = 0
        try check(reference_loopback_round_trip(handle, &nanoseconds), "a round trip on loopback")
        return nanoseconds
    }

    /// Seconds that so many bytes take over a new connection.
    static func seconds(toTransfer byteCount: Int) throws -> Double {
        var nanoseconds: UInt64 = 0
        try check(reference_loopback_transfer(UInt64(byteCount), &nanoseconds), "a transfer on loopback")
        return Double(nanoseconds) / 1e9
    }
}
