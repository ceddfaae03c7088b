/// The fixed binary form of `vim.status_reported`, nearly all of a log's volume.
///
/// Format 1, 24 bytes, in a VIM's stream: action id 16 (most significant byte first), status 1, verdict 1,
/// probe finding 2 (little-endian, ``ProbeFinding/packed``), round-trip time in microseconds 4
/// (little-endian). Format 2, 40 bytes, in stream 0: the same and the id of the unknown VIM 16.
@usableFromInline
struct StatusReportPayload {
    @inlinable static var byteCount: Int { 24 }
    @inlinable static var unknownVIMByteCount: Int { 40 }

    /// Three or five words as they lie in the log.
    @usableFromInline typealias Words = (UInt64, UInt64, UInt64, UInt64, UInt64)

    /// Inlined, so that writing a report costs no generic call.
    @inlinable
    static func withBytes<Result>(
        of reported: VIMStatusReported, _ body: (_ format: UInt8, UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let isKnown = reported.unknownVIM == nil
        return withUnsafeBytes(of: words(of: reported)) { bytes in
            isKnown ? body(1, UnsafeRawBufferPointer(rebasing: bytes[..<byteCount])) : body(2, bytes)
        }
    }

    @inlinable
    static func words(of reported: VIMStatusReported) -> Words {
        let claim =
            UInt64(reported.status.rawValue) | UInt64(reported.verdict.rawValue) << 8
            | UInt64(reported.finding.packed) << 16 | UInt64(reported.finding.roundTripMicroseconds) << 32
        let unknown = reported.unknownVIM?.value ?? UniqueID(high: 0, low: 0)
        return (
            reported.actionID.value.high.bigEndian, reported.actionID.value.low.bigEndian,
            claim.littleEndian, unknown.high.bigEndian, unknown.low.bigEndian
        )
    }

    static func decode(format: UInt8, _ bytes: UnsafeRawBufferPointer) throws(PayloadFault)
        -> VIMStatusReported
    {
        guard format == 1 || format == 2 else {
            throw PayloadFault(
                "vim.status_reported has format \(format), unknown to this version", isUnknown: true)
        }
        guard bytes.count == (format == 1 ? byteCount : unknownVIMByteCount) else {
            throw PayloadFault("vim.status_reported has \(bytes.count) bytes of payload in format \(format)")
        }
        let claim = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        guard let status = VIMStatus(rawValue: UInt8(truncatingIfNeeded: claim)), status != .pending else {
            throw PayloadFault(
                "vim.status_reported has the unknown status \(UInt8(truncatingIfNeeded: claim))",
                isUnknown: true)
        }
        guard let verdict = ReportVerdict(rawValue: UInt8(truncatingIfNeeded: claim >> 8)) else {
            throw PayloadFault("vim.status_reported has an unknown verdict", isUnknown: true)
        }
        return VIMStatusReported(
            actionID: MonitorActionID(uniqueID(bytes, at: 0)), status: status, verdict: verdict,
            finding: ProbeFinding(
                packed: UInt16(truncatingIfNeeded: claim >> 16),
                roundTripMicroseconds: UInt32(truncatingIfNeeded: claim >> 32)),
            unknownVIM: format == 2 ? VIMID(uniqueID(bytes, at: 24)) : nil)
    }

    private static func uniqueID(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UniqueID {
        UniqueID(
            high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }
}

/// What a report says of the VIM in whose stream it lies, read in place: all that replay folds of it.
public struct StatusClaim {
    /// The last eight bytes of the payload.
    @usableFromInline let word: UInt64

    /// Reads a payload; nil if it is no whole report of format 1, which ``VIMStatusReported`` explains.
    @inlinable
    @inline(__always)
    public init?(format: UInt8, payload: UnsafeRawBufferPointer) {
        guard format == 1, payload.count == 24 else { return nil }
        word = UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        let (status, verdict) = (word & 0xFF, word >> 8 & 0xFF)
        guard status == 1 || status == 2, verdict == 1 || verdict == 2 else { return nil }
    }

    /// Whether the report came from the wanted action.
    @inlinable
    @inline(__always)
    public var isAccepted: Bool { word >> 8 & 0xFF == 1 }

    /// What it claims.
    @inlinable
    @inline(__always)
    public var status: VIMStatus { word & 0xFF == 1 ? .reachable : .unreachable }

    /// Why.
    @inlinable
    @inline(__always)
    public var finding: ProbeFinding {
        ProbeFinding(
            packed: UInt16(truncatingIfNeeded: word >> 16),
            roundTripMicroseconds: UInt32(truncatingIfNeeded: word >> 32))
    }
}

extension VIMStatusReported {
    /// Reads the stored form without allocation.
    public init(format: UInt8, payload: UnsafeRawBufferPointer) throws(PayloadFault) {
        self = try StatusReportPayload.decode(format: format, payload)
    }
}

/// What is wrong with a payload.
public struct PayloadFault: Error, Hashable, Sendable {
    /// One sentence.
    public let sentence: String
    /// Whether a later version may know what this one does not; otherwise the bytes are damaged.
    public let isUnknown: Bool

    init(_ sentence: String, isUnknown: Bool = false) {
        self.sentence = sentence
        self.isUnknown = isUnknown
    }
}
