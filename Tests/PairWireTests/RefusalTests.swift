// Starts nothing; links and strangers speak over real sockets on loopback.
import Harness
import NIOCore
import PairProtocol
import Samples
import Synchronization
import Testing

@testable import PairWire

private let session = Session(epoch: 1, number: 1)

@Suite("Whom a link does not speak to")
struct RefusalTests {
    /// Two nodes that never become a pair, and why, in words that both log.
    private func refused(_ first: PairGreeting, _ second: PairGreeting, _ words: String) async throws {
        let ports = try freePorts(count: 2)
        let nodes = [
            try Node(first, listen: ports[0], peer: ports[1]),
            try Node(second, listen: ports[1], peer: ports[0]),
        ]
        try await withRunning(nodes[0], nodes[1]) {
            for node in nodes { try await node.waitForLog(words) }
        }
        for node in nodes { #expect(node.delivered == []) }
    }

    @Test("A node of another pair")
    func otherPair() async throws {
        try await refused(
            greeting("a", 1, pair: "north"), greeting("b", 2, pair: "south"), "'north', b to 'south'")
    }

    @Test("A node with no version of the wire in common; the highest common one is used else")
    func versions() async throws {
        var (first, second) = (greeting("a", 1), greeting("b", 2))
        first.versions = 1...1
        second.versions = 2...4
        #expect(first.commonVersion(with: second) == nil)
        try await refused(first, second, "none in common, upgrade a")
        first.versions = 1...3
        #expect(first.commonVersion(with: second) == 3 && second.commonVersion(with: first) == 3)
        #expect(first.refusal(of: second) == nil)
    }

    @Test("A node whose log has another format")
    func logFormat() async throws {
        var second = greeting("b", 2)
        second.logFormat = 2
        try await refused(greeting("a", 1), second, "a stores log format 1, b 2: upgrade a")
    }

    @Test("A peer that the node does not want for now: both say why once, and it is tried again and again")
    func unwanted() async throws {
        let ports = try freePorts(count: 2)
        let isWanted = Atomic<Bool>(true)
        let asked = Atomic<Int>(0)
        let first = try Node(
            greeting("a", 1), listen: ports[0], peer: ports[1],
            refusal: { _ in
                asked.add(1, ordering: .relaxed)
                return isWanted.load(ordering: .relaxed) ? nil : "a does not know what b says"
            })
        let second = try Node(greeting("b", 2), listen: ports[1], peer: ports[0])
        try await withRunning(first, second) {
            try await second.waitFor(.connected)
            #expect(try first.link().trouble == nil && second.link().trouble == nil)
            isWanted.store(false, ordering: .relaxed)
            try first.link().disconnect()
            try await second.waitFor(.disconnected)
            let before = asked.load(ordering: .relaxed)
            try await eventually("it is tried again and again") {
                asked.load(ordering: .relaxed) > before + 6
            }
            for node in [first, second] {
                #expect(try node.link().trouble?.contains("a does not know what b says") == true)
                // By the connection that it dialled, and by the one that it accepted.
                #expect((1...2).contains(node.log.count("a does not know what b says")), "\(node.log.all)")
            }
            isWanted.store(true, ordering: .relaxed)
            try await second.waitFor(.connected, count: 2)
            try await eventually("nothing is wrong") { try first.link().trouble == nil }
        }
        #expect(first.isOrderly && second.isOrderly)
    }

    @Test("Itself, at its own address")
    func itself() async throws {
        let port = try freePorts(count: 1)[0]
        let node = try Node(greeting("a", 1), listen: port, peer: port)
        try await withRunning(node) { try await node.waitForLog("a node talks to itself") }
        #expect(node.delivered == [])
    }

    @Test("A third node, while the peer is there")
    func third() async throws {
        let ports = try freePorts(count: 3)
        let first = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        let second = try Node(greeting("b", 2), listen: ports[1], peer: ports[0])
        let third = try Node(greeting("c", 3), listen: ports[2], peer: ports[0])
        try await withRunning(first, second) {
            try await first.waitFor(.connected)
            try await second.waitFor(.connected)
            try await withRunning(third) { try await third.waitForLog("a is connected to another node") }
            first.send(.hello(session))
            try await second.waitFor(.received(.hello(session)))
            #expect(first.delivered == [.connected] && third.delivered == [])
        }
    }

    @Test("A peer that refuses is tried again and again, and told of once")
    func once() async throws {
        let ports = try freePorts(count: 2)
        let node = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        try await RawListener.with(ports[1], answer: .refusal("we are closed")) { listener in
            try await withRunning(node) {
                try await eventually("it tries again") { listener.connections.count >= 5 }
            }
        }
        #expect(node.log.count("it refuses: we are closed") == 1)
    }

    @Test("Strangers are shown the door, in one line of the log")
    func strangers() async throws {
        let ports = try freePorts(count: 2)
        let node = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        let foreign = Frame.greeting(greeting("b", 2)).encoded()
        var notOurs = Array(foreign.readableBytesView)
        notOurs[6] ^= 1
        let sayings: [([UInt8], String)] = [
            (Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), "a frame of 542393671 bytes"),
            ([0, 0, 0, 0, 1], "a frame of 0 bytes"),
            ([1, 0, 0, 0, 99], "a frame of the unknown kind 99"),
            ([1, 0, 0, 0, 1], "a malformed frame (greeting)"),
            (notOurs, "a greeting that is not of this protocol"),
            (
                Array(Frame.message(.hello(session)).encoded().readableBytesView),
                "a frame out of place (hello)"
            ),
        ]
        try await withRunning(node) {
            try await eventually("it listens") { isListening(ports[0]) }
            for (bytes, words) in sayings {
                for _ in 0..<3 {
                    let stranger = try await RawConnection.dial(ports[0], saying: bytes)
                    try await eventually("the door: \(words)", every: .milliseconds(5)) { stranger.isClosed }
                    #expect(try stranger.frames() == [])
                }
                #expect(node.log.count(words) == 1, "\(node.log.all)")
            }
        }
        #expect(node.delivered == [])
    }

    @Test("So many silent strangers hold the port, no more")
    func crowd() async throws {
        let ports = try freePorts(count: 2)
        let node = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        try await withRunning(node) {
            try await eventually("it listens") { isListening(ports[0]) }
            var crowd: [RawConnection] = []
            for _ in 0..<(WireLimits.ungreetedMax + 8) {
                crowd.append(try await RawConnection.dial(ports[0]))
            }
            let strangers = crowd
            try await eventually("some are closed", every: .milliseconds(5)) {
                strangers.contains(where: \.isClosed)
            }
            // Those that say nothing do not stay, either.
            try await eventually("all are closed") { strangers.allSatisfy(\.isClosed) }
        }
    }
}

@Suite("A peer that breaks off, byte by byte")
struct BrokenPeerTests {
    /// A node whose peer is the test: `speaks` is what the peer dialled, `hears` what the node did.
    private func withPeer(
        body: (_ node: Node, _ speaks: RawConnection, _ listener: RawListener) async throws -> Void
    ) async throws {
        let ports = try freePorts(count: 2)
        let node = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        try await RawListener.with(ports[1], answer: .greeting(greeting("b", 2))) { listener in
            try await withRunning(node) {
                try await eventually("it listens") { isListening(ports[0]) }
                let speaks = try await RawConnection.dial(
                    ports[0], saying: .greeting(greeting("b", 2)))
                try await node.waitFor(.connected)
                let own = [Frame.greeting(greeting("a", 1))]
                try await eventually("it greets on both", every: .milliseconds(5)) {
                    let heard = try listener.connections.first?.frames()
                    return try speaks.frames() == own && heard == own
                }
                try await body(node, speaks, listener)
            }
        }
        #expect(node.isOrderly)
    }

    @Test("Frames may come in any pieces")
    func pieces() async throws {
        try await withPeer { node, speaks, _ in
            let frames = [
                Frame.message(.hello(session)),
                .message(.ping(session, sent: .seconds(1), promise: nil, acknowledged: nil)),
            ]
            for byte in frames.flatMap({ Array($0.encoded().readableBytesView) }) {
                try await speaks.say([byte])
            }
            try await node.waitFor(
                .received(.ping(session, sent: .seconds(1), promise: nil, acknowledged: nil)))
            #expect(
                node.received == [
                    .hello(session), .ping(session, sent: .seconds(1), promise: nil, acknowledged: nil),
                ])
        }
    }

    @Test("Of a frame that is cut nothing is heard, and the link is made anew")
    func cut() async throws {
        try await withPeer { node, speaks, listener in
            let bytes = [UInt8](repeating: 1, count: 300_000)
            let batch = ShippedBatch(before: 0, end: .none, bytes: bytes)
            let frame = Array(Frame.message(.batch(session, batch)).encoded().readableBytesView)
            try await speaks.say(.message(.hello(session)))
            try await speaks.say(Array(frame.dropLast()))
            try await speaks.close()
            try await node.waitFor(.disconnected)
            #expect(node.received == [.hello(session)])
            // Its own connection went with it, and is dialled anew.
            try await eventually("it dials") { listener.connections.count >= 2 }
            #expect(listener.connections.first?.isClosed == true)
        }
    }

    @Test("A peer that sends garbage, or greets again as somebody else, is cut off")
    func garbage() async throws {
        for (bytes, words) in [
            ([9, 0, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8], "it sent a malformed frame (hello)"),
            (
                Array(Frame.greeting(greeting("b", 7)).encoded().readableBytesView),
                "it sent a frame out of place (greeting)"
            ),
            ([1, 0, 0, 5, 20], "it sent a frame of 83886081 bytes"),
        ] as [([UInt8], String)] {
            try await withPeer { node, speaks, _ in
                try await speaks.say(bytes)
                try await node.waitFor(.disconnected)
                try await eventually("cut off", every: .milliseconds(5)) { speaks.isClosed }
                #expect(node.log.count(words) == 1, "\(node.log.all)")
                #expect(node.received == [])
            }
        }
    }

    @Test("What no agreed version has breaks the link, again and again, and is told of once")
    func unknownKind() async throws {
        let ports = try freePorts(count: 2)
        let node = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        try await RawListener.with(ports[1], answer: .greeting(greeting("b", 2))) { _ in
            try await withRunning(node) {
                try await eventually("it listens") { isListening(ports[0]) }
                for count in 1...3 {
                    let speaks = try await RawConnection.dial(ports[0], saying: .greeting(greeting("b", 2)))
                    try await node.waitFor(.connected, count: count)
                    try await speaks.say([2, 0, 0, 0, 99, 0])
                    try await node.waitFor(.disconnected, count: count)
                }
            }
        }
        #expect(node.received == [] && node.isOrderly)
        #expect(node.log.count("is gone: it sent a frame of the unknown kind 99") == 1, "\(node.log.all)")
        #expect(node.log.count("is there") == 2, "\(node.log.all)")
    }

    @Test("A peer that dials anew is heard on its newest connection alone")
    func newest() async throws {
        try await withPeer { node, speaks, _ in
            let newer = try await RawConnection.dial(
                speaks.channel.remoteAddress?.port ?? 0, saying: .greeting(greeting("b", 2)))
            try await node.waitFor(.connected, count: 2)
            try await eventually("the older one is closed", every: .milliseconds(5)) { speaks.isClosed }
            try await newer.say(.message(.hello(session)))
            try await node.waitFor(.received(.hello(session)))
        }
    }
}
