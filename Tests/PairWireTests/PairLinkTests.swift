// Starts nothing; links speak over real sockets on loopback.
import Glibc
import Harness
import NIOCore
import PairProtocol
import Samples
import Synchronization
import Testing

@testable import PairWire

private let session = Session(epoch: 1, number: 1)

private func batch(_ bytes: [UInt8], _ position: UInt64 = 1) -> PairMessage {
    .batch(
        session,
        ShippedBatch(
            before: position - 1, end: Mark(position: position, epoch: 1, seal: .zero), bytes: bytes))
}

@Suite("A link between two nodes")
struct PairLinkTests {
    @Test("Both hear of each other, and of each other's greeting")
    func greetings() async throws {
        try await withPair { first, second in
            #expect(first.peer == greeting("b", 2))
            #expect(second.peer == greeting("a", 1))
            #expect(first.log.count("the pair's peer is there") == 1)
        }
    }

    @Test("What one encloses may change: a link that began with something else is made anew")
    func enclosures() async throws {
        let ports = try freePorts(count: 2)
        let enclosed = Mutex<[UInt8]>([1])
        let first = try Node(
            greeting("a", 1), listen: ports[0], peer: ports[1], enclosure: { enclosed.withLock { $0 } })
        let second = try Node(greeting("b", 2), listen: ports[1], peer: ports[0])
        try await withRunning(first, second) {
            try await first.waitFor(.connected)
            for number in 2..<10 {
                enclosed.withLock { $0 = [UInt8(number)] }
                try first.link().disconnect()
                // What is sent from now on comes to one who heard it, or to nobody.
                let session = Session(epoch: 1, number: UInt64(number))
                try await eventually("it comes", every: .milliseconds(5)) {
                    first.send(.hello(session))
                    return second.received.contains(.hello(session))
                }
                #expect(second.peer?.enclosure == [UInt8(number)])
            }
        }
        #expect(first.isOrderly && second.isOrderly)
    }

    @Test("What one encloses may change while the link is being made: then it does not stand for long")
    func lateEnclosure() async throws {
        let ports = try freePorts(count: 2)
        let asked = Atomic<Int>(0)
        let first = try Node(
            greeting("a", 1), listen: ports[0], peer: ports[1],
            enclosure: { [UInt8(min(4, asked.add(1, ordering: .relaxed).newValue))] })
        let second = try Node(greeting("b", 2), listen: ports[1], peer: ports[0])
        try await withRunning(first, second) {
            let session = Session(epoch: 1, number: 1)
            try await eventually("it comes", every: .milliseconds(5)) {
                first.send(.hello(session))
                return second.received.contains(.hello(session))
            }
            #expect(second.peer?.enclosure == [4])
            #expect(first.count(.disconnected) >= 1)
        }
        #expect(first.isOrderly && second.isOrderly)
    }

    @Test("What several threads send at once arrives whole, and in each thread's order, both ways")
    func order() async throws {
        let (threads, count) = (4, 3_000)
        try await withPair { first, second in
            await withTaskGroup(of: Void.self) { group in
                for thread in 0..<(threads * 2) {
                    let node = thread < threads ? first : second
                    group.addTask {
                        for number in 0..<count {
                            let session = Session(epoch: UInt64(thread % threads), number: UInt64(number))
                            if number % 50 == 0 {
                                let bytes = [UInt8](repeating: UInt8(thread), count: 100_000)
                                node.send(
                                    .batch(session, ShippedBatch(before: 0, end: .none, bytes: bytes)))
                            } else {
                                node.send(
                                    .ping(
                                        session, sent: .milliseconds(number), promise: nil,
                                        acknowledged: nil))
                            }
                        }
                    }
                }
            }
            for (node, offset) in [(first, threads), (second, 0)] {
                try await eventually("all came", every: .milliseconds(10)) {
                    node.received.count >= threads * count
                }
                var next = [UInt64](repeating: 0, count: threads)
                for message in node.received {
                    switch message {
                    case .batch(let session, let batch):
                        let thread = UInt8(Int(session.epoch) + offset)
                        #expect(batch.bytes.count == 100_000 && batch.bytes.allSatisfy { $0 == thread })
                        #expect(session.number == next[Int(session.epoch)])
                        next[Int(session.epoch)] += 1
                    case .ping(let session, let sent, _, _):
                        #expect(session.number == next[Int(session.epoch)])
                        #expect(sent == .milliseconds(Int(session.number)))
                        next[Int(session.epoch)] += 1
                    default: Issue.record("nobody sent \(message)")
                    }
                }
            }
        }
    }

    @Test(
        "A peer that speaks an older version is not told what that does not have, and all the rest",
        arguments: 1...4 as ClosedRange<UInt16>)
    func older(_ version: UInt16) async throws {
        var old = greeting("b", 2)
        old.versions = 1...version
        let ports = try freePorts(count: 2)
        let first = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        let second = try Node(old, listen: ports[1], peer: ports[0])
        try await withRunning(first, second) {
            for node in [first, second] { try await node.waitFor(.connected) }
            for (node, other) in [(first, second), (second, first)] {
                node.send(.released(session))
                node.send(.ping(session, sent: .zero, promise: .seconds(1), acknowledged: 5))
                node.send(.hello(session))
                try await other.waitFor(.received(.hello(session)))
                let ping = PairMessage.ping(
                    session, sent: .zero, promise: version < 3 ? nil : .seconds(1),
                    acknowledged: version < 4 ? nil : 5)
                #expect(
                    other.received == (version < 2 ? [] : [.released(session)]) + [ping, .hello(session)])
            }
        }
    }

    @Test("What a node says anew of itself is heard in its place between messages, on the same link")
    func greetsAnew() async throws {
        let ports = try freePorts(count: 2)
        let said = Mutex<[UInt8]>([0])
        let heard = Mutex<[[UInt8]?]>([])
        let first = try Node(
            greeting("a", 1), listen: ports[0], peer: ports[1], enclosure: { said.withLock { $0 } })
        let second = try Node(
            greeting("b", 2), listen: ports[1], peer: ports[0],
            react: { input, node in
                guard case .received = input else { return }
                heard.withLock { $0.append(node.peer?.enclosure) }
            })
        try await withRunning(first, second) {
            for node in [first, second] { try await node.waitFor(.connected) }
            for number: UInt8 in 0..<50 {
                said.withLock { $0 = [number] }
                if number > 0 { try first.link().greetAnew() }
                first.send(.hello(Session(epoch: 1, number: UInt64(number))))
                // What is said leaves as it is then, so it must not change before.
                try await eventually("it came", every: .milliseconds(1)) {
                    heard.withLock { $0.count == Int(number) + 1 }
                }
            }
            #expect(heard.withLock { $0 } == (0..<50).map { [$0] })
            #expect(second.greetedAnewCount == 49 && first.greetedAnewCount == 0)
            #expect(second.count(.connected) == 1 && second.count(.disconnected) == 0)
        }
    }

    @Test("A peer of the wire's third version hears it by a link that is made anew")
    func greetsAnewOlder() async throws {
        let ports = try freePorts(count: 2)
        var old = greeting("b", 2)
        old.versions = 1...3
        let said = Mutex<[UInt8]>([0])
        let first = try Node(
            greeting("a", 1), listen: ports[0], peer: ports[1], enclosure: { said.withLock { $0 } })
        let second = try Node(old, listen: ports[1], peer: ports[0])
        try await withRunning(first, second) {
            for node in [first, second] { try await node.waitFor(.connected) }
            said.withLock { $0 = [9] }
            try first.link().greetAnew()
            try await second.waitFor(.connected, count: 2)
            #expect(second.peer?.enclosure == [9])
            #expect(second.greetedAnewCount == 0)
        }
    }

    @Test("A greeting on a link that stands is out of place where an older version is spoken")
    func greetsAgainOlder() async throws {
        let ports = try freePorts(count: 2)
        let node = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        var peer = greeting("b", 2)
        peer.versions = 1...3
        try await RawListener.with(ports[1], answer: .greeting(peer)) { _ in
            try await withRunning(node) {
                try await eventually("it listens") { isListening(ports[0]) }
                let connection = try await RawConnection.dial(ports[0], saying: .greeting(peer))
                try await node.waitFor(.connected)
                try await connection.say(.greeting(peer))
                try await node.waitFor(.disconnected)
                #expect(node.greetedAnewCount == 0)
            }
        }
    }

    @Test("A batch of 20 MiB arrives byte for byte, and what is behind it after it")
    func large() async throws {
        var random = SeededGenerator(seed: runSeed)
        let message = batch(random.bytes(20 << 20))
        try await withPair { first, second in
            first.send(message)
            first.send(.hello(session))
            try await second.waitFor(.received(.hello(session)))
            #expect(second.received == [message, .hello(session)])
        }
    }

    @Test("What is said within deliver is sent")
    func answers() async throws {
        try await withPair(react: { input, node in
            if case .received(.ping(let session, let sent, _, _)) = input {
                node.send(.pong(session, sent: sent))
            }
        }) { first, second in
            for number in 1...1_000 {
                first.send(
                    .ping(
                        session, sent: .seconds(number), promise: .seconds(1), acknowledged: UInt64(number)))
            }
            try await eventually("all answered", every: .milliseconds(5)) { first.received.count == 1_000 }
            #expect(first.received == (1...1_000).map { .pong(session, sent: .seconds($0)) })
        }
    }

    @Test("What is said first, on `connected`, is heard by a peer that already knows that it is connected")
    func firstWords() async throws {
        let ports = try freePorts(count: 2)
        @Sendable func react(_ input: PairInput, _ node: Node) {
            if input == .connected { node.send(.hello(session)) }
            if input == .received(.hello(session)) { node.send(.refusal(session)) }
        }
        for _ in 0..<20 {
            let first = try Node(greeting("a", 1), listen: ports[0], peer: ports[1], react: react)
            let second = try Node(greeting("b", 2), listen: ports[1], peer: ports[0], react: react)
            try await withRunning(first, second) {
                for node in [first, second] { try await node.waitFor(.received(.refusal(session))) }
            }
            // Where both dial at once a link may be made twice; in the one that stands nothing was lost.
            let words: [PairInput] = [.connected, .received(.hello(session)), .received(.refusal(session))]
            for delivered in [first.delivered, second.delivered] {
                let starts = delivered.indices.filter { delivered[$0] == .connected }
                #expect(starts.contains { delivered[$0...].prefix(3) == words[...] }, "\(delivered)")
                #expect(delivered.last == .disconnected)
            }
        }
    }

    @Test("A peer that ends and comes back, with another log, is found again; what was said between is lost")
    func comesBack() async throws {
        let ports = try freePorts(count: 2)
        let first = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        try await withRunning(first) {
            for round in 1...5 {
                let second = try Node(greeting("b", UInt64(1 + round)), listen: ports[1], peer: ports[0])
                try await withRunning(second) {
                    try await first.waitFor(.connected, count: round)
                    try await second.waitFor(.connected)
                    #expect(first.peer?.identity == identity(UInt64(1 + round)))
                    first.send(.hello(session))
                    try await second.waitFor(.received(.hello(session)))
                }
                try await first.waitFor(.disconnected, count: round)
                #expect(first.peer == nil)
                first.send(.refusal(session))
                #expect(second.delivered == [.connected, .received(.hello(session)), .disconnected])
            }
        }
        #expect(first.isOrderly, "\(first.delivered)")
    }

    @Test("Whoever drops the link, both hear of it, and it stands again")
    func disconnects() async throws {
        try await withPair { first, second in
            for round in 1...4 {
                try [first, second][round % 2].link().disconnect()
                for node in [first, second] {
                    try await node.waitFor(.disconnected, count: round)
                    try await node.waitFor(.connected, count: round + 1)
                }
            }
            second.send(.hello(session))
            try await first.waitFor(.received(.hello(session)))
        }
    }

    @Test("A peer that does not read is dropped when too much waits for it, and found again when it does")
    func slowReader() async throws {
        let isSlow = Mutex(true)
        let byteMax = 8 << 20
        try await withPair(
            waitingByteMax: byteMax,
            react: { input, _ in
                guard case .received = input else { return }
                while isSlow.withLock({ $0 }) { usleep(1_000) }
            }
        ) { first, second in
            let message = batch([UInt8](repeating: 7, count: 1 << 20))
            var sentCount = 0
            // Sockets take some megabytes, too, before anything waits here.
            while sentCount < 100, first.count(.disconnected) == 0 {
                first.send(message)
                sentCount += 1
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(sentCount > 8 && sentCount < 100)
            try await first.waitForLog("more than \(byteMax) bytes were waiting for it")
            isSlow.withLock { $0 = false }
            for node in [first, second] { try await node.waitFor(.connected, count: 2) }
            first.send(.hello(session))
            try await second.waitFor(.received(.hello(session)))
        }
    }

    @Test("A message that no frame can carry is not sent, and the log says so")
    func tooLarge() async throws {
        try await withPair { first, second in
            first.send(batch([UInt8](repeating: 0, count: WireLimits.frameByteMax)))
            first.send(.hello(session))
            try await second.waitFor(.received(.hello(session)))
            #expect(second.received.count == 1)
            #expect(first.log.count("more than the pair's wire can carry") == 1)
        }
    }

    @Test("An address that is taken is an error that names it")
    func taken() async throws {
        let ports = try freePorts(count: 2)
        let first = try Node(greeting("a", 1), listen: ports[0], peer: ports[1])
        try await withRunning(first) {
            try await eventually("it listens") { isListening(ports[0]) }
            let second = try Node(greeting("b", 2), listen: ports[0], peer: ports[1])
            let error = await #expect(throws: PairConfigurationError.self) { try await second.link().run() }
            #expect(error?.description.contains("cannot listen on 127.0.0.1:\(ports[0])") == true)
        }
    }
}
