import NIOCore
import PairProtocol

extension Frame {
    /// The frame's bytes; those of a batch are copied this once.
    func encoded(with allocator: ByteBufferAllocator = .init()) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: capacity)
        buffer.put(UInt32(0))
        buffer.put(kind.rawValue)
        switch self {
        case .greeting(let greeting): buffer.put(greeting)
        case .refusal(let sentence): buffer.writeString(sentence)
        case .message(let message): buffer.put(message)
        case .copy(let part): buffer.put(part)
        }
        buffer.setInteger(UInt32(buffer.readableBytes - 4), at: 0, endianness: .little)
        return buffer
    }

    private var capacity: Int {
        switch self {
        case .greeting(let greeting): 1_024 + greeting.enclosure.count
        case .refusal(let sentence): Frame.prefixByteCount + sentence.utf8.count
        case .message(let message): message.byteCount
        case .copy(.bytes(let bytes)): Frame.prefixByteCount + bytes.count
        case .copy: Frame.prefixByteCount + WireLimits.textByteMax
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func put(_ number: some FixedWidthInteger) {
        writeInteger(number, endianness: .little)
    }

    fileprivate mutating func put(_ session: Session) {
        put(session.epoch)
        put(session.number)
    }

    fileprivate mutating func put(_ mark: Mark) {
        put(mark.position)
        put(mark.epoch)
        for word in 0..<4 { put(mark.seal[word]) }
    }

    fileprivate mutating func put(_ identity: LogIdentity) {
        put(identity.bytes.x)
        put(identity.bytes.y)
    }

    fileprivate mutating func put(_ duration: Duration) {
        put(duration.components.seconds)
        put(duration.components.attoseconds)
    }

    fileprivate mutating func put(_ text: String) {
        put(UInt16(text.utf8.count))
        writeString(text)
    }

    fileprivate mutating func put(_ greeting: PairGreeting) {
        writeBytes(Frame.magic)
        put(greeting.versions.lowerBound)
        put(greeting.versions.upperBound)
        put(greeting.logFormat)
        put(greeting.identity)
        put(greeting.pairName)
        put(greeting.programVersion)
        put(greeting.hostName)
        put(UInt32(greeting.enclosure.count))
        writeBytes(greeting.enclosure)
    }

    fileprivate mutating func put(_ part: CopyPart) {
        switch part {
        case .begin(let byteCount): put(byteCount)
        case .file(let name): writeString(name)
        case .bytes(let bytes): writeBytes(bytes)
        case .fileEnd(let sha256): writeString(sha256)
        case .end: break
        }
    }

    fileprivate mutating func put(_ message: PairMessage) {
        switch message {
        case .hello(let session), .refusal(let session), .released(let session): put(session)
        case .marks(let session, let question, let marks):
            put(session)
            put(question)
            for mark in marks { put(mark) }
        case .common(let session, let question, let mark):
            put(session)
            put(question)
            if let mark { put(mark) }
        case .batch(let session, let batch):
            put(session)
            put(batch.before)
            put(batch.end)
            writeBytes(batch.bytes)
        case .stored(let session, let end, let identity):
            put(session)
            put(end)
            put(identity)
        case .ping(let session, let sent, let promise, let acknowledged):
            put(session)
            put(sent)
            if let promise { put(promise) }
            if promise != nil, let acknowledged { put(acknowledged) }
        case .pong(let session, let sent):
            put(session)
            put(sent)
        }
    }
}
