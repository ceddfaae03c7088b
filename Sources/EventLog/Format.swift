/// The bytes of the log, as they must read for ten years.
///
/// All numbers are little-endian.
///
/// One commit is one LMDB value in the database `batches`. Its key is the position of its first event
/// (an unsigned 64-bit integer, `MDB_INTEGERKEY`); its value is a ``BatchHeader`` and the events, each an
/// ``Envelope`` and its payload, back to back.
public enum Format {
    /// The version of everything in the data file; a file with a greater one is refused.
    public static let version: UInt32 = 1
    /// The version written into batch headers.
    public static let batchVersion: UInt16 = 1
    /// Bytes of a batch's header.
    public static let headerByteCount = 64
    /// Where in the header the seal begins; the bytes before it are sealed, too.
    public static let sealOffset = 32
    /// Bytes of an event's envelope.
    public static let envelopeByteCount = 32
}

/// Bounds, each with its reason.
public enum Limits {
    /// A batch takes no further event once it holds so many bytes, so that one commit stays a fraction of
    /// a second and a copy of a batch fits in memory anywhere.
    public static let batchByteMax = 8 * 1_024 * 1_024
    /// A batch takes at most so many events: bounds the callers that one failed commit disappoints.
    public static let batchEventMax = 65_536
    /// An event takes at most so many payload bytes: a request body of 1 MiB and what is added to it.
    public static let payloadByteMax = 4 * 1_024 * 1_024
    /// A batch's value has at most so many bytes: the last event may go beyond ``batchByteMax``.
    public static let batchValueByteMax = batchByteMax + payloadByteMax + 4_096
    /// A reader lets go of its view of the file after so many bytes, since a view held open keeps LMDB
    /// from reusing pages and lets the file grow.
    public static let viewByteMax = 1 * 1_024 * 1_024
    /// After so many commits the writer frees the views of readers that were killed.
    ///
    /// They would keep LMDB from reusing pages until the next start. Looking costs some microseconds.
    public static let commitsBetweenReaderChecks = 256
    /// The address range set aside for the file; address space costs nothing, growing it stops all readers.
    public static let mapByteCount = 1 << 40
    /// A checkpoint is stored in values of at most so many bytes: one page each, less LMDB's header of 16.
    ///
    /// A value that needs a run of pages hardly ever finds one among freed pages, so that the file would grow
    /// with every checkpoint.
    public static let checkpointPieceByteMax = 4_096 - 16
    /// A checkpoint is written so many pieces, a megabyte, in a commit, between which others append.
    public static let checkpointPortionMax = 256
    /// Its pieces are removed so many in a commit.
    public static let removedPieceMax = 2_048
    /// A segment's block ends after so many events or bytes of columns: what a reader holds in memory.
    public static let blockEventMax = 65_536
    /// See ``blockEventMax``.
    public static let blockByteMax = 16 * 1_024 * 1_024
    /// Archived batches are removed from the data file so many in a commit, between which others append.
    public static let removedBatchMax = 1_024
    /// A segment ends after so many events, so that finding a place within it stays about a second.
    public static let segmentEventMax: UInt64 = 2_097_152
    /// A segment ends after so many bytes: it is gathered in memory.
    public static let segmentByteMax = 64 * 1_024 * 1_024
}

/// The fixed front of a batch.
public struct BatchHeader: Hashable, Sendable {
    /// How many events follow.
    public var eventCount: UInt32
    /// How many bytes they take, envelopes included.
    public var eventByteCount: UInt32
    /// The fencing token of the conductor that wrote it.
    public var epoch: UInt64
    /// When it was committed, in microseconds since 1970.
    public var time: UInt64
    /// Closes the batch and chains it to the one before.
    public var seal: Seal

    init(eventCount: UInt32, eventByteCount: UInt32, epoch: UInt64, time: UInt64, seal: Seal) {
        self.eventCount = eventCount
        self.eventByteCount = eventByteCount
        self.epoch = epoch
        self.time = time
        self.seal = seal
    }

    /// Writes the header over the first 64 bytes of a batch, seal included.
    func write(to bytes: UnsafeMutableRawBufferPointer) {
        bytes.store(Format.batchVersion, at: 0)
        bytes.store(UInt16(0), at: 2)
        bytes.store(eventCount, at: 4)
        bytes.store(eventByteCount, at: 8)
        bytes.store(UInt32(0), at: 12)
        bytes.store(epoch, at: 16)
        bytes.store(time, at: 24)
        seal.write(to: bytes, at: Format.sealOffset)
    }

    /// Reads the front of a batch's value; a sentence says what is wrong with it otherwise.
    init(reading bytes: UnsafeRawBufferPointer) throws(FormatFault) {
        guard bytes.count >= Format.headerByteCount else {
            throw FormatFault("a batch of \(bytes.count) bytes is shorter than its header")
        }
        let version: UInt16 = bytes.load(at: 0)
        guard version == Format.batchVersion else {
            throw FormatFault("batch format \(version) is unknown to this version")
        }
        guard bytes.load(at: 2) as UInt16 == 0, bytes.load(at: 12) as UInt32 == 0 else {
            throw FormatFault("reserved bytes of a batch header are not zero")
        }
        eventCount = bytes.load(at: 4)
        eventByteCount = bytes.load(at: 8)
        epoch = bytes.load(at: 16)
        time = bytes.load(at: 24)
        seal = Seal(reading: bytes, at: Format.sealOffset)
        guard bytes.count == Format.headerByteCount + Int(eventByteCount), eventCount > 0 else {
            throw FormatFault(
                "a batch says \(eventCount) events in \(eventByteCount) bytes and has "
                    + "\(bytes.count - Format.headerByteCount) bytes")
        }
    }
}

/// The fixed front of an event.
public struct Envelope: Hashable, Sendable {
    /// Microseconds since 1970; never decreasing in the log.
    public var time: UInt64
    /// The position of the stream's event before this one; 0 if it is the first.
    public var previousInStream: UInt64
    /// The dense number of the stream; 0 is the conductor's own.
    public var stream: UInt32
    /// How many payload bytes follow.
    public var payloadByteCount: UInt32
    /// The event type number; its meaning is the domain's.
    public var type: UInt16
    /// The version of the payload's form.
    public var format: UInt8

    /// All fields at once.
    public init(
        time: UInt64, previousInStream: UInt64, stream: UInt32, payloadByteCount: UInt32, type: UInt16,
        format: UInt8
    ) {
        self.time = time
        self.previousInStream = previousInStream
        self.stream = stream
        self.payloadByteCount = payloadByteCount
        self.type = type
        self.format = format
    }

    @inlinable
    func write(to bytes: UnsafeMutableRawBufferPointer) {
        bytes.store(time, at: 0)
        bytes.store(previousInStream, at: 8)
        bytes.store(stream, at: 16)
        bytes.store(payloadByteCount, at: 20)
        bytes.store(type, at: 24)
        bytes.store(UInt16(format), at: 26)  // the upper byte: flags, none yet
        bytes.store(UInt32(0), at: 28)  // reserved
    }

    /// Reads 32 bytes that the caller knows to be there.
    @inlinable
    init(reading bytes: UnsafeRawBufferPointer, at offset: Int) {
        time = bytes.load(at: offset)
        previousInStream = bytes.load(at: offset + 8)
        stream = bytes.load(at: offset + 16)
        payloadByteCount = bytes.load(at: offset + 20)
        type = bytes.load(at: offset + 24)
        format = bytes.load(at: offset + 26)
    }
}

/// What is wrong with bytes that should be a batch.
public struct FormatFault: Error, Hashable, Sendable {
    /// One sentence.
    public let sentence: String

    @usableFromInline
    init(_ sentence: String) { self.sentence = sentence }
}

extension UnsafeRawBufferPointer {
    @inlinable
    func load<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    @inlinable
    func store(_ number: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
        storeBytes(of: number.littleEndian, toByteOffset: offset, as: type(of: number))
    }
}
