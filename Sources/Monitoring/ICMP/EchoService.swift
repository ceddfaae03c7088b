import Glibc
import Logging
import NIOCore
import NIOPosix
import Registry
import Synchronization

/// Sends echo requests for all ICMP probes over one socket per address family.
///
/// A socket is opened when the first probe needs it, and gets a thread that waits for its replies: waiting
/// blocks, and must not block an event loop. Sends happen under the lock, on descriptors that cannot block.
final class EchoService: Sendable {
    private struct Pending {
        var address: EchoAddress
        var trace: ProbeTrace
    }

    private struct State {
        var version4: EchoSocket?
        var version6: EchoSocket?
        var pending: [UInt64: Pending] = [:]
        /// Identifiers and sequence numbers start at random, so that restarted processes do not collide.
        var identifier = UInt16.random(in: .min ... .max)
        var sequence = UInt16.random(in: .min ... .max)
        var isStopped = false

        subscript(isVersion6: Bool) -> EchoSocket? {
            get { isVersion6 ? version6 : version4 }
            set { if isVersion6 { version6 = newValue } else { version4 = newValue } }
        }
    }

    /// How long a thread waits before it looks whether it should end.
    private static let waitMilliseconds: CInt = 200

    private let state = Mutex(State())
    private let threads = NIOThreadPool(numberOfThreads: 2)
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// Sends one request; the reply, the error or the deadline ends the trace.
    func echo(_ address: SocketAddress, _ trace: ProbeTrace) {
        var address = address
        address.port = 0  // raw version 6 sockets take it for a protocol number
        guard let key = EchoAddress(address) else { return }
        let cookie = UInt64.random(in: .min ... .max)
        trace.hold { [self] in _ = state.withLock { $0.pending.removeValue(forKey: cookie) } }
        var isFresh = false
        let failure: ConnectionFailure? = state.withLock { state in
            guard !state.isStopped else {
                return ConnectionFailure(.proberFailed, explanation: "the monitor is stopping")
            }
            let socket: EchoSocket
            if let known = state[key.isVersion6] {
                socket = known
            } else {
                switch EchoSocket.open(isVersion6: key.isVersion6) {
                case .success(let opened):
                    socket = opened
                    state[key.isVersion6] = opened
                    isFresh = true
                case .failure(let refusal): return ConnectionFailure(refusal)
                }
            }
            state.sequence &+= 1
            let packet = EchoPacket(identifier: state.identifier, sequence: state.sequence, cookie: cookie)
            state.pending[cookie] = Pending(address: key, trace: trace)
            return socket.send(packet.request(isVersion6: key.isVersion6), to: address)
                .map { ConnectionFailure(echoErrno: $0) }
        }
        if isFresh { startThread(isVersion6: key.isVersion6) }
        if let failure { trace.finish(failure) }
    }

    /// Ends the threads and closes the sockets.
    func stop() async {
        state.withLock { $0.isStopped = true }
        try? await threads.shutdownGracefully()
    }

    private func startThread(isVersion6: Bool) {
        let opened = state.withLock { $0[isVersion6] }
        logger.debug(
            "ICMP socket opened",
            metadata: ["version": isVersion6 ? "6" : "4", "raw": "\(opened?.isRaw ?? false)"])
        threads.start()
        threads.submit { [self] _ in receive(isVersion6: isVersion6) }
    }

    private func receive(isVersion6: Bool) {
        guard let socket = state.withLock({ $0[isVersion6] }) else { return }
        var buffer = [UInt8](repeating: 0, count: 1_500)
        while !state.withLock({ $0.isStopped }) {
            socket.waitForInput(milliseconds: EchoService.waitMilliseconds)
            while let arrival = socket.receiveError(into: &buffer) { handle(arrival) }
            while let arrival = socket.receive(into: &buffer) { handle(arrival) }
        }
        // Under the lock, so that nobody sends on a descriptor that by then belongs to another file.
        state.withLock { state in
            state[isVersion6] = nil
            socket.close()
        }
    }

    private func handle(_ arrival: EchoSocket.Arrival) {
        switch arrival {
        case .other: break
        case .reply(let cookie, let address):
            let pending = state.withLock { $0.pending[cookie] }
            guard let pending, pending.address == address else { return }
            pending.trace.finish(.answered, .answered)
        case .unreachable(let cookie, let type, let code):
            let pending = state.withLock { $0.pending[cookie] }
            pending?.trace.finish(
                .failed, .hostUnreachable, detail: UInt16(code),
                explanation: "an ICMP error of type \(type), code \(code) came back")
        }
    }
}

extension ConnectionFailure {
    fileprivate init(_ refusal: EchoSocket.Refusal) {
        self.init(
            .proberFailed, detail: UInt16(clamping: refusal.errno), explanation: refusal.explanation)
        isOwnTrouble = refusal.isTransient
    }

    /// Reads what `sendto` said.
    fileprivate init(echoErrno code: CInt) {
        self.init(errno: code, explanation: String(cString: strerror(code)), in: .answer)
        // A local packet filter: the operator's business, and no sign of life from the endpoint.
        if code == EPERM { reason = .proberFailed }
    }
}
