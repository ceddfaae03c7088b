import NIOCore
import PairProtocol

/// Finds frames in bytes that come in pieces.
///
/// The bytes of a batch, and those of a copied file, are copied once, from the pieces into it.
struct FrameReader {
    /// A longer frame is a fault.
    var byteMax: Int
    private var kind: Frame.Kind?
    private var head = ByteBuffer()
    private var headCount = Frame.prefixByteCount
    private var tail: [UInt8] = []
    private var tailCount = 0

    init(byteMax: Int) { self.byteMax = byteMax }

    /// The next frame, taken from the front of `bytes`; nil if they end before it does.
    ///
    /// After a fault nothing more can be read.
    mutating func next(from bytes: inout ByteBuffer) throws(WireFault) -> Frame? {
        if kind == nil {
            guard fillHead(from: &bytes) else { return nil }
            try beginBody()
        }
        guard let kind, fillHead(from: &bytes), fillTail(from: &bytes) else { return nil }
        var body = FrameBody(kind: kind, head: head, tail: tail)
        self = FrameReader(byteMax: byteMax)
        return try body.frame()
    }

    private mutating func beginBody() throws(WireFault) {
        guard let length: UInt32 = head.readInteger(endianness: .little),
            let number: UInt8 = head.readInteger()
        else { return }
        guard length >= 1, length <= byteMax else { throw .tooLong(byteCount: length, most: byteMax) }
        guard let kind = Frame.Kind(rawValue: number) else { throw .unknownKind(number) }
        let bodyCount = Int(length) - 1
        headCount = min(bodyCount, kind.headByteMax)
        tailCount = bodyCount - headCount
        head.clear(minimumCapacity: min(headCount, WireLimits.greetingByteMax))
        tail.reserveCapacity(tailCount)
        self.kind = kind
    }

    private mutating func fillHead(from bytes: inout ByteBuffer) -> Bool {
        let count = min(headCount - head.readableBytes, bytes.readableBytes)
        if var piece = bytes.readSlice(length: count) { head.writeBuffer(&piece) }
        return head.readableBytes == headCount
    }

    private mutating func fillTail(from bytes: inout ByteBuffer) -> Bool {
        let count = min(tailCount - tail.count, bytes.readableBytes)
        bytes.readWithUnsafeReadableBytes { pointer in
            tail.append(contentsOf: UnsafeRawBufferPointer(rebasing: pointer[..<count]))
            return count
        }
        return tail.count == tailCount
    }
}

/// A whole frame's body, read from its front.
struct FrameBody {
    let kind: Frame.Kind
    var head: ByteBuffer
    /// The bytes of a batch, or of a copied file.
    var tail: [UInt8]

    /// What it says; all bytes must belong to it.
    mutating func frame() throws(WireFault) -> Frame {
        let frame = try content()
        // A later version may say more behind a greeting, before it knows whom it talks to.
        guard head.readableBytes == 0 || kind == .greeting else { throw .malformed(kind) }
        return frame
    }

    private mutating func content() throws(WireFault) -> Frame {
        switch kind {
        case .greeting: return .greeting(try greeting())
        case .refusal:
            return .refusal(try text(byteCount: head.readableBytes, most: WireLimits.refusalByteMax))
        case .copyBegin: return .copy(.begin(byteCount: try number()))
        case .copyFile:
            return .copy(.file(name: try text(byteCount: head.readableBytes, most: WireLimits.textByteMax)))
        case .copyBytes: return .copy(.bytes(tail))
        case .copyFileEnd:
            return .copy(.fileEnd(sha256: try text(byteCount: head.readableBytes, most: 64)))
        case .copyEnd: return .copy(.end)
        case .hello: return .message(.hello(try session()))
        case .sessionRefusal: return .message(.refusal(try session()))
        case .marks: return .message(.marks(try session(), question: try number(), try marks()))
        case .common:
            return .message(
                .common(
                    try session(), question: try number(), head.readableBytes == 0 ? nil : try mark()))
        case .batch:
            return .message(
                .batch(
                    try session(), ShippedBatch(before: try number(), end: try mark(), bytes: tail)))
        case .stored:
            return .message(.stored(try session(), end: try number(), identity: try identity()))
        case .ping:
            return .message(.ping(try session(), sent: try duration(), promise: nil, acknowledged: nil))
        case .asking:
            return .message(
                .ping(try session(), sent: try duration(), promise: try duration(), acknowledged: nil))
        case .telling:
            return .message(
                .ping(
                    try session(), sent: try duration(), promise: try duration(), acknowledged: try number()))
        case .pong: return .message(.pong(try session(), sent: try duration()))
        case .released: return .message(.released(try session()))
        }
    }

    private mutating func number<Number: FixedWidthInteger>() throws(WireFault) -> Number {
        guard let number = head.readInteger(endianness: .little, as: Number.self) else {
            throw .malformed(kind)
        }
        return number
    }

    private mutating func session() throws(WireFault) -> Session {
        Session(epoch: try number(), number: try number())
    }

    private mutating func mark() throws(WireFault) -> Mark {
        Mark(
            position: try number(), epoch: try number(),
            seal: SIMD4(try number(), try number(), try number(), try number()))
    }

    private mutating func marks() throws(WireFault) -> [Mark] {
        var marks: [Mark] = []
        while head.readableBytes > 0 { marks.append(try mark()) }
        return marks
    }

    private mutating func identity() throws(WireFault) -> LogIdentity {
        LogIdentity(bytes: SIMD2(try number(), try number()))
    }

    private mutating func duration() throws(WireFault) -> Duration {
        Duration(secondsComponent: try number(), attosecondsComponent: try number())
    }

    private mutating func bytes(_ count: Int) throws(WireFault) -> [UInt8] {
        guard let bytes = head.readBytes(length: count) else { throw .malformed(kind) }
        return bytes
    }

    /// A text that may stand in a log: a stranger must not fill it, or write lines of its own there.
    private mutating func text(byteCount: Int, most: Int) throws(WireFault) -> String {
        guard byteCount <= most, let text = String(validating: try bytes(byteCount), as: UTF8.self),
            text.isPrintable
        else { throw .malformed(kind) }
        return text
    }

    private mutating func text() throws(WireFault) -> String {
        let count: UInt16 = try number()
        return try text(byteCount: Int(count), most: WireLimits.textByteMax)
    }

    private mutating func greeting() throws(WireFault) -> PairGreeting {
        guard try bytes(Frame.magic.count) == Frame.magic else { throw .foreign }
        let (lowest, highest): (UInt16, UInt16) = (try number(), try number())
        guard lowest <= highest else { throw .malformed(kind) }
        let logFormat: UInt32 = try number()
        let identity = try identity()
        var greeting = PairGreeting(
            pairName: try text(), identity: identity, logFormat: logFormat, programVersion: try text(),
            hostName: try text())
        let count: UInt32 = try number()
        greeting.enclosure = try bytes(Int(count))
        greeting.versions = lowest...highest
        return greeting
    }
}

extension Frame.Kind {
    /// What comes before the bytes that are kept as they are.
    fileprivate var headByteMax: Int {
        switch self {
        case .batch: Frame.batchHeadByteCount
        case .copyBytes: 0
        default: .max
        }
    }
}

extension String {
    /// Whether it has no control characters.
    var isPrintable: Bool { unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } }
}
