// Starts nothing.
import NIOCore
import PairProtocol
import Samples
import Testing

@testable import PairWire

/// A frame and the file that holds it as the first version wrote it.
struct GoldenFrame: Sendable, CustomTestStringConvertible {
    var file: String
    var frame: Frame
    var testDescription: String { file }

    init(_ file: String, _ frame: Frame) {
        self.file = "pair." + file
        self.frame = frame
    }

    init(_ file: String, _ message: PairMessage) { self.init(file, .message(message)) }

    private static let session = Session(epoch: 0x0102, number: 3)
    private static let identity = LogIdentity(bytes: [0x0807_0605_0403_0201, 0x100F_0E0D_0C0B_0A09])
    private static let mark = Mark(position: 7, epoch: 0x0102, seal: [1, 2, 3, 0xFF << 56])

    private static func greeting(_ versions: ClosedRange<UInt16>) -> Frame {
        var greeting = PairGreeting(
            pairName: "core", identity: identity, logFormat: 1, programVersion: "1.0", hostName: "köln",
            enclosure: [9, 8, 7])
        greeting.versions = versions
        return .greeting(greeting)
    }

    static let all = [
        GoldenFrame("greeting", greeting(1...1)),
        GoldenFrame("greeting-2", greeting(1...2)),
        GoldenFrame("closing", .refusal("no, thank you")),
        GoldenFrame("copy-begin", .copy(.begin(byteCount: 0x01_0203_0405))),
        GoldenFrame("copy-file", .copy(.file(name: "archive/1.segment"))),
        GoldenFrame("copy-bytes", .copy(.bytes([0xCA, 0xFE, 0xBA, 0xBE]))),
        GoldenFrame("copy-file-end", .copy(.fileEnd(sha256: String(repeating: "ab", count: 32)))),
        GoldenFrame("copy-end", .copy(.end)),
        GoldenFrame("hello", .hello(session)),
        GoldenFrame("refusal", .refusal(session)),
        GoldenFrame("marks", .marks(session, question: 5, [mark, .none])),
        GoldenFrame("common", .common(session, question: 5, mark)),
        GoldenFrame("common-none", .common(session, question: 5, nil)),
        GoldenFrame(
            "batch", .batch(session, ShippedBatch(before: 4, end: mark, bytes: [0xCA, 0xFE, 0xBA, 0xBE]))),
        GoldenFrame("stored", .stored(session, end: 7, identity: identity)),
        GoldenFrame(
            "ping",
            .ping(session, sent: .seconds(2) + .milliseconds(500), promise: nil, acknowledged: nil)),
        GoldenFrame("ping-3", .ping(session, sent: .seconds(2), promise: .seconds(1), acknowledged: nil)),
        GoldenFrame("ping-4", .ping(session, sent: .seconds(2), promise: .seconds(1), acknowledged: 7)),
        GoldenFrame("pong", .pong(session, sent: .zero)),
        GoldenFrame("released", .released(session)),
    ]
}

@Suite("The pair's frames")
struct FrameTests {
    @Test("Every frame is written as it always was, and read", arguments: GoldenFrame.all)
    func golden(_ golden: GoldenFrame) throws {
        let bytes = try goldenBytes(golden.file)
        #expect(Array(golden.frame.encoded().readableBytesView) == bytes)
        #expect(try frames(in: bytes) == [golden.frame])
    }

    @Test("Every kind of frame has a golden file")
    func complete() {
        #expect(Set(GoldenFrame.all.map(\.frame.kind)) == Set(Frame.Kind.allCases))
    }

    @Test("Random frames are read as they were written, in whatever pieces they come")
    func roundTrip() throws {
        var random = SeededGenerator(seed: runSeed)
        for _ in 0..<200 {
            let written = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                Frame.random(using: &random)
            }
            let bytes = written.flatMap { Array($0.encoded().readableBytesView) }
            #expect(try frames(in: bytes) == written, "SEED=\(runSeed)")
            let found = try frames(in: bytes, pieceMax: 64, using: &random)
            #expect(found == written, "SEED=\(runSeed)")
        }
    }

    @Test("A frame that is cut short is no frame; with a length that fits it is a fault or another frame")
    func truncated() throws {
        var random = SeededGenerator(seed: runSeed)
        for golden in GoldenFrame.all {
            let bytes = try goldenBytes(golden.file)
            for count in 0..<bytes.count { #expect(try frames(in: Array(bytes[..<count])) == []) }
            for count in 5..<bytes.count {
                var short = Array(bytes[..<count])
                short.replaceSubrange(0..<4, with: [UInt8(count - 4), 0, 0, 0])
                let found = try? frames(in: short, pieceMax: 9, using: &random)
                #expect(found != [golden.frame])
            }
        }
    }

    @Test("A body that goes on is a fault, but for what a later greeting may add")
    func tooLong() throws {
        for golden in GoldenFrame.all {
            var bytes = try goldenBytes(golden.file)
            bytes.append(0x20)
            bytes[0] += 1
            let longer = bytes
            switch golden.frame {
            case .greeting: #expect(try frames(in: longer) == [golden.frame])
            case .refusal, .message(.batch), .copy(.file), .copy(.bytes):
                #expect(try frames(in: longer) != [golden.frame])
            default: #expect(throws: WireFault.malformed(golden.frame.kind)) { try frames(in: longer) }
            }
        }
    }

    @Test("Bytes that are no frame are a fault, whatever they are")
    func garbage() throws {
        var random = SeededGenerator(seed: runSeed)
        var faults: Set<WireFault> = []
        for _ in 0..<20_000 {
            var bytes = random.bytes(Int.random(in: 0...300, using: &random))
            if bytes.count >= 5, Bool.random(using: &random) {
                // A length that fits and a kind that exists let the garbage get further.
                let count = Int.random(in: 1...(bytes.count - 4), using: &random)
                bytes.replaceSubrange(0..<4, with: [UInt8(count & 0xFF), UInt8(count >> 8), 0, 0])
                bytes[4] = Frame.Kind.allCases.randomElement(using: &random)?.rawValue ?? 0
            }
            do { _ = try frames(in: bytes, pieceMax: 40, using: &random) } catch { faults.insert(error) }
        }
        // Any bytes may be a part of a file.
        for kind in Frame.Kind.allCases where ![.batch, .greeting, .copyBytes].contains(kind) {
            #expect(faults.contains(.malformed(kind)), "\(kind), SEED=\(runSeed)")
        }
        #expect(faults.contains(.foreign), "SEED=\(runSeed)")
    }

    @Test("A flipped bit anywhere in a frame gives another frame or a fault, and never a crash")
    func flipped() throws {
        for golden in GoldenFrame.all {
            let bytes = try goldenBytes(golden.file)
            for bit in 0..<(bytes.count * 8) {
                var broken = bytes
                broken[bit / 8] ^= 1 << (bit % 8)
                let found = try? frames(in: broken)
                #expect(found != [golden.frame])
            }
        }
    }

    @Test("Lengths are bounded before anything is kept of the frame")
    func bounded() throws {
        let most = WireLimits.greetingByteMax
        #expect(throws: WireFault.tooLong(byteCount: 0x2054_4547, most: most)) {
            try frames(in: Array("GET / HTTP/1.1\r\n".utf8), byteMax: most)
        }
        for length in [0, UInt32(WireLimits.frameByteMax) + 1, .max] {
            var bytes = ByteBuffer()
            bytes.writeInteger(length, endianness: .little)
            bytes.writeInteger(Frame.Kind.batch.rawValue)
            let prefix = Array(bytes.readableBytesView)
            #expect(throws: WireFault.self) { try frames(in: prefix) }
        }
    }

    @Test("A refusal is one line that fits into a log, or a fault")
    func refusals() throws {
        let longest = String(repeating: "a", count: WireLimits.refusalByteMax)
        for text in ["", longest] {
            let bytes = Array(Frame.refusal(text).encoded().readableBytesView)
            #expect(try frames(in: bytes) == [.refusal(text)])
        }
        for text in ["a\nb", longest + "a"] {
            let bytes = Array(Frame.refusal(text).encoded().readableBytesView)
            #expect(throws: WireFault.malformed(.refusal)) { try frames(in: bytes) }
        }
    }

    @Test("Greetings with no text for people, or a range of versions that is none, are faults")
    func greetings() throws {
        var whole = greeting("a", 1)
        whole.versions = 1...1
        for (offset, value) in [(13, 2), (13, 255)] {
            var bytes = Array(Frame.greeting(whole).encoded().readableBytesView)
            bytes[offset] = UInt8(value)
            let broken = bytes
            #expect(throws: WireFault.malformed(.greeting)) { try frames(in: broken) }
        }
        for name in ["a\n", "\u{1B}[1m", "\u{0}", String(repeating: "a", count: 256)] {
            let bytes = Array(Frame.greeting(greeting(name, 1)).encoded().readableBytesView)
            #expect(throws: WireFault.malformed(.greeting)) { try frames(in: bytes) }
        }
    }
}

private func frames(
    in bytes: [UInt8], byteMax: Int = WireLimits.frameByteMax
) throws(WireFault) -> [Frame] {
    var reader = FrameReader(byteMax: byteMax)
    var (found, rest): ([Frame], ByteBuffer) = ([], ByteBuffer(bytes: bytes))
    while let frame = try reader.next(from: &rest) { found.append(frame) }
    return found
}

/// Reads pieces of random lengths.
private func frames(
    in bytes: [UInt8], pieceMax: Int, using random: inout SeededGenerator
) throws(WireFault) -> [Frame] {
    var reader = FrameReader(byteMax: WireLimits.frameByteMax)
    var (found, rest): ([Frame], ArraySlice<UInt8>) = ([], bytes[...])
    while !rest.isEmpty {
        let count = min(rest.count, Int.random(in: 1...pieceMax, using: &random))
        var piece = ByteBuffer(bytes: rest.prefix(count))
        rest = rest.dropFirst(count)
        while let frame = try reader.next(from: &piece) { found.append(frame) }
    }
    return found
}

extension Frame {
    static func random(using random: inout SeededGenerator) -> Frame {
        func number() -> UInt64 { Bool.random(using: &random) ? random.next() : random.next() >> 48 }
        func session() -> Session { Session(epoch: number(), number: number()) }
        func mark() -> Mark {
            Mark(position: number(), epoch: number(), seal: [number(), number(), number(), number()])
        }
        func identity() -> LogIdentity { LogIdentity(bytes: [number(), number()]) }
        func duration() -> Duration {
            Duration(
                secondsComponent: Int64(number() >> 1), attosecondsComponent: Int64(number() % 1_000_000_000))
        }
        func count(_ most: Int) -> Int { Int.random(in: 0...most, using: &random) }
        switch Int.random(in: 0..<13, using: &random) {
        case 0:
            var greeting = PairGreeting(
                pairName: "pair \(number())", identity: identity(), logFormat: 1,
                programVersion: "é\(number())", hostName: "", enclosure: random.bytes(count(300)))
            greeting.versions = UInt16(count(9))...UInt16(10 + count(9))
            return .greeting(greeting)
        case 1: return .refusal("because of \(number())")
        case 2: return .message(.hello(session()))
        case 3: return .message(.refusal(session()))
        case 4:
            return .message(
                .marks(session(), question: number(), (0..<count(20)).map { _ in mark() }))
        case 5:
            return .message(
                .common(session(), question: number(), Bool.random(using: &random) ? mark() : nil))
        case 6:
            let batch = ShippedBatch(before: number(), end: mark(), bytes: random.bytes(count(5_000)))
            return .message(.batch(session(), batch))
        case 7: return .message(.stored(session(), end: number(), identity: identity()))
        case 8:
            let promise = Bool.random(using: &random) ? duration() : nil
            let acknowledged = promise != nil && Bool.random(using: &random) ? number() : nil as UInt64?
            return .message(
                .ping(session(), sent: duration(), promise: promise, acknowledged: acknowledged))
        case 9: return .message(.pong(session(), sent: duration()))
        case 10: return .copy(.bytes(random.bytes(count(5_000))))
        case 11: return .copy(.file(name: "é\(number())"))
        default: return .message(.released(session()))
        }
    }
}
