import Conductor
import EtcdClient
import EventLog
import Harness
import Identity
import Logging
import PairProtocol
import PairWire
import Samples
import Synchronization

@testable import HighAvailability

/// A leader that the test plays with a log of its own: what it ships need not be what a conductor writes.
final class PlayedLeader: Sendable {
    let lines = LogLines(level: .info)
    private let log: EventLog
    private let epoch: UInt64
    private let box = Mutex<PairLink?>(nil)
    private let state = Mutex(State())
    /// How often the node's greeting was asked for: once for each connection.
    private let greetings = Atomic<Int>(0)
    /// What it says of itself.
    private let enclosure: OwnEnclosure
    /// Changes what is shipped.
    private let alter: @Sendable ([UInt8]) -> [UInt8]

    private struct State {
        var session: UInt64 = 0
        /// Where the node's log ends, as it said in this session.
        var stored: UInt64?
    }

    init(
        _ log: EventLog, epoch: UInt64, listen: Int, peer: Int,
        masterKey: [UInt8] = [UInt8](repeating: 7, count: 32),
        alter: @escaping @Sendable ([UInt8]) -> [UInt8] = { $0 }
    ) throws {
        (self.log, self.epoch, self.alter) = (log, epoch, alter)
        let enclosure = OwnEnclosure(PeerEnclosure(address: "127.0.0.1:1", masterKey: masterKey))
        self.enclosure = enclosure
        let link = try PairLink(
            wire(listen: listen, peer: peer),
            greeting: PairGreeting(
                pairName: "p", identity: LogIdentity(log.identity), logFormat: Format.version,
                programVersion: "9.9", hostName: "leader"),
            enclosure: { [weak self] in
                self?.greetings.add(1, ordering: .relaxed)
                return enclosure.present.bytes
            }, logger: lines.logger
        ) { [weak self] in self?.take($0) }
        box.withLock { $0 = link }
    }

    func run() async throws { try await box.withLock { $0 }?.run() }

    var connectionCount: Int { greetings.load(ordering: .relaxed) }

    /// Says what its master key is from now on, or which one may follow; by a link that is made anew, as a
    /// leader of before the wire's fourth version does.
    func greet(with masterKey: [UInt8], next: [UInt8]? = nil) {
        enclosure.take(masterKey: masterKey)
        enclosure.announce(next)
        box.withLock { $0 }?.disconnect()
    }

    /// Says so on the link that stands.
    func greetAnew(with masterKey: [UInt8], next: [UInt8]? = nil) {
        enclosure.take(masterKey: masterKey)
        enclosure.announce(next)
        box.withLock { $0 }?.greetAnew()
    }

    /// Ships what was added to its log.
    func ship() {
        let state = state.withLock { $0 }
        guard let stored = state.stored else { return }
        ship(Session(epoch: epoch, number: state.session), after: stored)
    }

    /// Says what is acknowledged, once: it may be lost with its connection.
    func acknowledge(upTo position: UInt64) {
        let session = state.withLock { $0.session }
        send(
            .ping(
                Session(epoch: epoch, number: session), sent: .zero, promise: .seconds(1),
                acknowledged: position))
    }

    /// Ships a batch that it has not stored yet.
    func ship(_ batch: TravellingBatch) {
        let session = state.withLock { $0.session }
        send(.batch(Session(epoch: epoch, number: session), ShippedBatch(batch)))
    }

    private func take(_ input: PairInput) {
        switch input {
        case .connected:
            let number = state.withLock { state in
                state = State(session: state.session + 1)
                return state.session
            }
            send(.hello(Session(epoch: epoch, number: number)))
        case .disconnected: state.withLock { $0.stored = nil }
        case .received(.marks(let session, let question, let marks)):
            let common = try? log.newestCommon(of: marks.map { Head($0) })
            send(.common(session, question: question, common.map { Mark($0) }))
        case .received(.stored(let session, let end, _)):
            let isFirst = state.withLock { state in
                defer { state.stored = end }
                return state.stored == nil
            }
            if isFirst { ship(session, after: end) }
        default: break
        }
    }

    private func ship(_ session: Session, after position: UInt64) {
        guard let portion = try? log.travellingBatches(after: position, byteMax: 1 << 20) else { return }
        for batch in portion.batches {
            var shipped = ShippedBatch(batch)
            shipped.bytes = alter(shipped.bytes)
            send(.batch(session, shipped))
        }
    }

    private func send(_ message: PairMessage) { box.withLock { $0 }?.send(message) }
}

private func wire(listen: Int, peer: Int) -> PairConfiguration {
    PairConfiguration(
        listen: PairAddress(host: "127.0.0.1", port: listen),
        peer: PairAddress(host: "127.0.0.1", port: peer), security: .loopback)
}

/// A node on the log of a directory, whose etcd is not there: it follows whoever says hello.
func makeNode(
    _ directory: String, listen: Int, peer: Int, lines: LogLines
) throws -> HighAvailability.RunningNode {
    var options = Conductor.Options(directory: directory)
    options.version = "1.1"
    // What fails again and again is told anew for debugging alone.
    var logger = lines.logger
    logger.logLevel = .info
    return try RunningNode(
        opening: NodeConfiguration(
            pair: "p", address: "127.0.0.1:2", etcd: EtcdSettings(endpoints: ["http://127.0.0.1:1"]),
            wire: wire(listen: listen, peer: peer)),
        options, logger: logger)
}

/// Runs something of the pair beside `body`.
func withRunning<Result: Sendable>(
    _ run: @escaping @Sendable () async throws -> Void, body: () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await run() }
        let result = try await body()
        group.cancelAll()
        try await group.waitForAll()
        return result
    }
}
