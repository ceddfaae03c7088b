import NIOCore
import PairProtocol

/// What travels on a connection, one after the other.
///
/// A frame is its length without these four bytes, its kind in one byte, and its body; numbers are
/// little-endian. A batch's own bytes, and a mark's seal, are as in the log.
enum Frame: Hashable, Sendable {
    /// The first on each connection, in both directions.
    case greeting(PairGreeting)
    /// Why the connection will be closed, in one sentence.
    case refusal(String)
    /// Whatever the protocol says.
    case message(PairMessage)
    /// A part of a copied log, on a connection of its own.
    case copy(CopyPart)

    /// Which frame it is; the numbers are never used anew.
    enum Kind: UInt8, CaseIterable, Sendable {
        case greeting = 1
        case refusal = 2
        case copyBegin = 3
        case copyFile = 4
        case copyBytes = 5
        case copyFileEnd = 6
        case copyEnd = 7
        case hello = 16
        case sessionRefusal = 17
        case marks = 18
        case common = 19
        case batch = 20
        case stored = 21
        case ping = 22
        case pong = 23
        case released = 24
        case asking = 25
        case telling = 26
    }

    /// Bytes of the length and the kind.
    static let prefixByteCount = 5
    /// Bytes of a batch's body before the batch's own.
    static let batchHeadByteCount = 16 + 8 + markByteCount
    static let markByteCount = 48
    /// What a greeting begins with, so that nothing else is taken for one.
    static let magic = Array("VEDPAIR\n".utf8)

    var kind: Kind {
        switch self {
        case .greeting: .greeting
        case .refusal: .refusal
        case .message(let message): message.kind
        case .copy(let part): part.kind
        }
    }
}

extension CopyPart {
    var kind: Frame.Kind {
        switch self {
        case .begin: .copyBegin
        case .file: .copyFile
        case .bytes: .copyBytes
        case .fileEnd: .copyFileEnd
        case .end: .copyEnd
        }
    }
}

extension PairMessage {
    var kind: Frame.Kind {
        switch self {
        case .hello: .hello
        case .refusal: .sessionRefusal
        case .marks: .marks
        case .common: .common
        case .batch: .batch
        case .stored: .stored
        case .ping(_, _, nil, _): .ping
        case .ping(_, _, _, let acknowledged): acknowledged == nil ? .asking : .telling
        case .pong: .pong
        case .released: .released
        }
    }

    /// It in an older version of the wire; nil where nobody misses it who speaks that one.
    func spoken(in version: UInt16) -> PairMessage? {
        switch self {
        case .released where version < 2: nil
        case .ping(let session, let sent, _, _) where version < 3:
            .ping(session, sent: sent, promise: nil, acknowledged: nil)
        case .ping(let session, let sent, let promise, _) where version < 4:
            .ping(session, sent: sent, promise: promise, acknowledged: nil)
        default: self
        }
    }

    /// The bytes it takes in memory and on the wire, give or take some.
    var byteCount: Int {
        switch self {
        case .batch(_, let batch): Frame.prefixByteCount + Frame.batchHeadByteCount + batch.bytes.count
        case .marks(_, _, let marks): 32 + marks.count * Frame.markByteCount
        default: 96
        }
    }
}

/// What is wrong with bytes that should have been a frame.
enum WireFault: Error, Hashable, CustomStringConvertible {
    /// More than this connection may send.
    case tooLong(byteCount: UInt32, most: Int)
    /// No kind has this number.
    case unknownKind(UInt8)
    /// A body that no such frame has.
    case malformed(Frame.Kind)
    /// A frame that does not belong here.
    case unexpected(Frame.Kind)
    /// A greeting that does not begin as ours do.
    case foreign

    var description: String {
        switch self {
        case .tooLong(let byteCount, let most): "a frame of \(byteCount) bytes, where \(most) are the most"
        case .unknownKind(let number): "a frame of the unknown kind \(number)"
        case .malformed(let kind): "a malformed frame (\(kind))"
        case .unexpected(let kind): "a frame out of place (\(kind))"
        case .foreign: "a greeting that is not of this protocol"
        }
    }
}
