import CRabbitMQ

#if canImport(Glibc)
    import Glibc
#endif

/// One connection to a broker; belongs to the thread that made it, as the C library demands.
///
/// Any error leaves it useless: let it go and make another. Deliveries, returns and the broker's objections
/// come out of ``receive(_:)``.
package final class Connection {
    /// The largest body that is kept; of a larger one only the delivery is told.
    package static let bodyByteMax = 1 << 20
    /// So long may connecting, and each answer of the broker to a declaration, take.
    package static let answerTimeout = Duration.seconds(5)
    /// Gathered frames are written when they are so many bytes.
    private static let gatheredByteMax = 256 << 10
    /// Messages taken in before their answers get a turn.
    private static let messageMaxPerTurn = 512

    /// What the broker sent.
    package enum Event {
        /// A consumer's message.
        case delivery(Delivery)
        /// A mandatory message that no queue took.
        case returned(ReturnedMessage)
        /// The broker is short of memory or disk and takes no messages (true), or takes them again (false).
        case blocked(Bool)
    }

    /// Which connection of its session, from 1.
    package let number: UInt64
    private let state: amqp_connection_state_t
    private let isEncrypted: Bool
    private var assembly = MessageAssembly()
    /// What ``together(_:)`` gathers.
    private var outgoing = FrameBuffer(frameByteMax: 4_096)
    private var isGathering = false
    private var isBroken = false

    /// Connects and logs in; blocks for some seconds at most.
    ///
    /// - Parameters:
    ///   - number: which connection of its session, from 1; goes into delivery tags.
    ///   - name: shown by the broker's tools beside the connection.
    package init(
        to host: BrokerURL.Host, of url: BrokerURL, number: UInt64, name: String
    ) throws(AMQPError) {
        self.number = number
        guard let state = amqp_new_connection() else {
            throw AMQPError(.library(AMQP_STATUS_NO_MEMORY.rawValue), while: "connecting to \(host)")
        }
        self.state = state
        isEncrypted = url.tls != nil
        var timeout = timeval(Connection.answerTimeout)
        amqp_set_rpc_timeout(state, &timeout)
        amqp_set_handshake_timeout(state, &timeout)
        do throws(AMQPError) {
            try Connection.open(state, host, url.tls)
            try logIn(host, virtualHost: url.virtualHost, heartbeat: url.heartbeatSeconds ?? 20, name: name)
        } catch {
            isBroken = true
            throw error
        }
        outgoing = FrameBuffer(frameByteMax: Int(amqp_get_frame_max(state)))
    }

    deinit { amqp_destroy_connection(state) }

    /// The socket, to wait on.
    var socket: Int32 { amqp_get_sockfd(state) }

    /// Whether something came in that ``receive(_:)`` has not yet handed out.
    var hasBufferedInput: Bool { amqp_data_in_buffer(state) != 0 || amqp_frames_enqueued(state) != 0 }

    /// Seconds between heartbeats, as agreed.
    var heartbeatSeconds: Int { Int(amqp_get_heartbeat(state)) }

    private static func open(
        _ state: amqp_connection_state_t, _ host: BrokerURL.Host, _ tls: BrokerTLS?
    ) throws(AMQPError) {
        let socket: OpaquePointer?
        if let tls {
            socket = amqp_ssl_socket_new(state)
            if let socket { try configure(socket, tls) }
        } else {
            socket = amqp_tcp_socket_new(state)
        }
        guard let socket else {
            throw AMQPError(.library(AMQP_STATUS_NO_MEMORY.rawValue), while: "connecting to \(host)")
        }
        var timeout = timeval(answerTimeout)
        let status = amqp_socket_open_noblock(socket, host.name, Int32(host.port), &timeout)
        guard status == 0 else { throw AMQPError(.library(status), while: "connecting to \(host)") }
    }

    private static func configure(_ socket: OpaquePointer, _ tls: BrokerTLS) throws(AMQPError) {
        amqp_ssl_socket_set_verify_peer(socket, tls.verifiesBroker ? 1 : 0)
        amqp_ssl_socket_set_verify_hostname(socket, tls.verifiesBroker ? 1 : 0)
        amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST)
        // Without a file the library trusts nobody; this is where Debian keeps what everybody trusts.
        let authorities = tls.authorityFile ?? "/etc/ssl/certs/ca-certificates.crt"
        if tls.verifiesBroker || tls.authorityFile != nil {
            guard amqp_ssl_socket_set_cacert(socket, authorities) == 0 else {
                throw AMQPError(.unusableFile(authorities), while: "reading the broker's authorities")
            }
        }
        if let certificate = tls.certificateFile {
            let key = tls.keyFile ?? certificate
            guard amqp_ssl_socket_set_key(socket, certificate, key) == 0 else {
                throw AMQPError(
                    .unusableFile("\(certificate) with \(key)"), while: "reading the client certificate")
            }
        }
    }

    private func logIn(
        _ host: BrokerURL.Host, virtualHost: String, heartbeat: Int, name: String
    ) throws(AMQPError) {
        let reply = Table.with([("product", .text("vedette")), ("connection_name", .text(name))]) { table in
            var table = table
            return amqp_login_plain(
                state, virtualHost, AMQP_DEFAULT_FRAME_SIZE, Int32(heartbeat), &table, host.user,
                host.password)
        }
        try check(reply, while: "logging in as \(host.user) at \(host)")
    }

    // MARK: Declarations

    /// Opens a channel; 1 and up.
    package func openChannel(_ channel: UInt16 = 1) throws(AMQPError) {
        amqp_channel_open(state, channel)
        try check(while: "opening a channel")
    }

    /// Declares an exchange, which must not exist with other properties.
    package func declareExchange(
        _ name: String, type: String, isDurable: Bool, isAutoDelete: Bool, on channel: UInt16 = 1
    ) throws(AMQPError) {
        withBytes(name, type) { name, type in
            Table.with([]) { table in
                _ = amqp_exchange_declare(
                    state, channel, name, type, 0, isDurable ? 1 : 0, isAutoDelete ? 1 : 0, 0, table)
            }
        }
        try check(on: channel, while: "declaring exchange \(name)")
    }

    /// Declares a queue, which must not exist with other properties.
    package func declareQueue(
        _ name: String, isDurable: Bool, isAutoDelete: Bool = false, isExclusive: Bool = false,
        arguments: [(String, TableValue)] = [], on channel: UInt16 = 1
    ) throws(AMQPError) {
        withBytes(name, "") { name, _ in
            Table.with(arguments) { table in
                _ = amqp_queue_declare(
                    state, channel, name, 0, isDurable ? 1 : 0, isExclusive ? 1 : 0, isAutoDelete ? 1 : 0,
                    table)
            }
        }
        try check(on: channel, while: "declaring queue \(name)")
    }

    /// Lets an exchange's messages with a routing key go to a queue.
    package func bind(
        queue: String, to exchange: String, key: String, on channel: UInt16 = 1
    ) throws(AMQPError) {
        withBytes(queue, exchange) { queue, exchange in
            withBytes(key, "") { key, _ in
                Table.with([]) { _ = amqp_queue_bind(state, channel, queue, exchange, key, $0) }
            }
        }
        try check(on: channel, while: "binding queue \(queue)")
    }

    /// How many deliveries the broker may send to each consumer before one is acknowledged.
    package func setPrefetch(_ count: UInt16, on channel: UInt16 = 1) throws(AMQPError) {
        amqp_basic_qos(state, channel, 0, count, 0)
        try check(on: channel, while: "setting the prefetch count")
    }

    /// Begins to consume a queue.
    ///
    /// - Parameter tag: names the consumer on its channel.
    package func consume(_ queue: String, tag: String, on channel: UInt16 = 1) throws(AMQPError) {
        withBytes(queue, tag) { queue, tag in
            Table.with([]) { _ = amqp_basic_consume(state, channel, queue, tag, 0, 0, 0, $0) }
        }
        try check(on: channel, while: "consuming queue \(queue)")
    }

    /// Ends a consumer; what was delivered before may still come out of ``receive(_:)``.
    package func cancelConsumer(_ tag: String, on channel: UInt16 = 1) throws(AMQPError) {
        withBytes(tag, "") { tag, _ in _ = amqp_basic_cancel(state, channel, tag) }
        try check(on: channel, while: "cancelling a consumer")
    }

    // MARK: Sending

    /// Hands a message to the broker; it is on its way when this, or ``together(_:)`` around it, returns.
    package func publish(_ publication: Publication, on channel: UInt16 = 1) throws(AMQPError) {
        let action = "publishing to \(publication.routingKey)"
        guard isGathering else {
            return try check(Connection.publish(publication, on: channel, of: state), while: action)
        }
        do throws(AMQPError) { try outgoing.publish(publication, on: channel) } catch { throw broken(error) }
        if outgoing.bytes.count >= Connection.gatheredByteMax { try flush() }
    }

    /// Writes a message frame by frame, as the library does.
    static func publish(
        _ publication: Publication, on channel: UInt16, of state: amqp_connection_state_t
    ) -> Int32 {
        let expiration = publication.expirationMilliseconds.map(String.init) ?? ""
        return withBytes(publication.exchange, publication.routingKey) { exchange, key in
            withBytes(expiration, "") { expiration, _ in
                publication.body.withUnsafeBytes { body -> Int32 in
                    var properties = Connection.properties(isPersistent: publication.isPersistent)
                    if expiration.len > 0 {
                        properties._flags |= PropertyFlag.expiration
                        properties.expiration = expiration
                    }
                    return amqp_basic_publish(
                        state, channel, exchange, key, publication.isMandatory ? 1 : 0, 0, &properties,
                        amqp_bytes_t(body))
                }
            }
        }
    }

    /// Tells the broker that a delivery is done with.
    package func acknowledge(
        _ number: UInt64, isMultiple: Bool = false, on channel: UInt16 = 1
    ) throws(AMQPError) {
        if isGathering { return outgoing.acknowledge(number, isMultiple: isMultiple, on: channel) }
        try check(amqp_basic_ack(state, channel, number, isMultiple ? 1 : 0), while: "acknowledging")
    }

    /// Gives a delivery back to its queue, or drops it.
    package func reject(
        _ number: UInt64, requeues: Bool, on channel: UInt16 = 1
    ) throws(AMQPError) {
        try check(amqp_basic_reject(state, channel, number, requeues ? 1 : 0), while: "rejecting")
    }

    /// Sends what `body` publishes and acknowledges in as few packets, and calls of the kernel, as possible.
    ///
    /// `body` does nothing else with the connection.
    package func together(_ body: () throws(AMQPError) -> Void) throws(AMQPError) {
        // The library keeps to itself how it encrypts: there the kernel alone can gather.
        if isEncrypted {
            setCork(1)
            defer { setCork(0) }
            return try body()
        }
        isGathering = true
        defer {
            isGathering = false
            outgoing.removeAll()
        }
        try body()
        try flush()
    }

    private func setCork(_ isOn: Int32) {
        var value = isOn
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Writes what was gathered, past the library; it holds back nothing of its own.
    private func flush() throws(AMQPError) {
        let (socket, patience) = (socket, heartbeatSeconds > 0 ? Int32(heartbeatSeconds) * 2_000 : -1)
        let status = outgoing.bytes.withUnsafeBytes { bytes -> Int32 in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = send(
                    socket, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count,
                    Int32(MSG_NOSIGNAL))
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    // As the library: waited for as long as a broker that says nothing.
                    var descriptor = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
                    if poll(&descriptor, 1, patience) == 0 { return AMQP_STATUS_HEARTBEAT_TIMEOUT.rawValue }
                } else if errno != EINTR {
                    return AMQP_STATUS_SOCKET_ERROR.rawValue
                }
            }
            return 0
        }
        outgoing.removeAll()
        try check(status, while: "sending")
    }

    private static func properties(isPersistent: Bool) -> amqp_basic_properties_t {
        var properties = amqp_basic_properties_t()
        properties._flags =
            PropertyFlag.contentType | PropertyFlag.contentEncoding | PropertyFlag.deliveryMode
            | PropertyFlag.priority
        properties.content_type = amqp_bytes_t("application/json")
        properties.content_encoding = amqp_bytes_t("utf-8")
        properties.delivery_mode = isPersistent ? 2 : 1
        properties.priority = 0
        return properties
    }

    // MARK: Receiving

    /// Hands out everything that has come in, without waiting; also keeps up the heartbeats.
    package func receive(_ body: (Event) -> Void) throws(AMQPError) {
        var now = timeval(tv_sec: 0, tv_usec: 0)
        var messageCount = 0
        while messageCount < Connection.messageMaxPerTurn {
            var frame = amqp_frame_t()
            let status = amqp_simple_wait_frame_noblock(state, &frame, &now)
            if status == AMQP_STATUS_TIMEOUT.rawValue { return }
            try check(status, while: "receiving")
            if let event = try take(frame) {
                messageCount += 1
                body(event)
                // The frame's memory; what was kept of it is a copy.
                amqp_maybe_release_buffers(state)
            }
        }
    }

    private func take(_ frame: amqp_frame_t) throws(AMQPError) -> Event? {
        switch Int32(frame.frame_type) {
        case FrameType.method: return try take(frame.payload.method, channel: frame.channel)
        case FrameType.header:
            return assembly.takeHeader(frame.payload.properties, connection: number)
        case FrameType.body:
            return assembly.takeBody(frame.payload.body_fragment, connection: number)
        default: return nil
        }
    }

    private func take(_ method: amqp_method_t, channel: UInt16) throws(AMQPError) -> Event? {
        let action = "receiving"
        guard let decoded = method.decoded else { return nil }
        switch method.id {
        case MethodID.basicDeliver:
            assembly.begin(decoded.assumingMemoryBound(to: amqp_basic_deliver_t.self).pointee, channel)
        case MethodID.basicReturn:
            assembly.begin(decoded.assumingMemoryBound(to: amqp_basic_return_t.self).pointee)
        case MethodID.connectionBlocked: return .blocked(true)
        case MethodID.connectionUnblocked: return .blocked(false)
        case MethodID.basicCancel: throw broken(AMQPError(.consumerCancelled, while: action))
        case MethodID.channelClose, MethodID.connectionClose:
            throw broken(closing(method, while: action))
        default: break
        }
        return nil
    }

    // MARK: Ending

    /// Says goodbye to the broker; waits for its answer, but not for long.
    package func close() {
        guard !isBroken else { return }
        isBroken = true
        amqp_connection_close(state, AMQP_REPLY_SUCCESS)
    }

    private func check(_ status: Int32, while action: String) throws(AMQPError) {
        if status != 0 { throw broken(AMQPError(.library(status), while: action)) }
    }

    private func check(on channel: UInt16 = 0, while action: String) throws(AMQPError) {
        try check(amqp_get_rpc_reply(state), on: channel, while: action)
    }

    /// A channel that the broker closed is opened again, so that another declaration can be tried.
    private func check(
        _ reply: amqp_rpc_reply_t, on channel: UInt16 = 0, while action: String
    ) throws(AMQPError) {
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL: return
        case AMQP_RESPONSE_SERVER_EXCEPTION:
            let error = closing(reply.reply, while: action)
            guard case .channelClosed = error.cause, channel > 0 else { throw broken(error) }
            var answer = amqp_channel_close_ok_t()
            amqp_send_method(state, channel, MethodID.channelCloseOK, &answer)
            try openChannel(channel)
            throw error
        default: throw broken(AMQPError(.library(reply.library_error), while: action))
        }
    }

    private func broken(_ error: AMQPError) -> AMQPError {
        isBroken = true
        return error
    }

    private func closing(_ method: amqp_method_t, while action: String) -> AMQPError {
        guard let decoded = method.decoded else {
            return AMQPError(.library(AMQP_STATUS_CONNECTION_CLOSED.rawValue), while: action)
        }
        switch method.id {
        case MethodID.channelClose:
            let close = decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee
            return AMQPError(.channelClosed(close.reply_code, String(close.reply_text)), while: action)
        case MethodID.connectionClose:
            let close = decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee
            return AMQPError(.connectionClosed(close.reply_code, String(close.reply_text)), while: action)
        default: return AMQPError(.library(AMQP_STATUS_WRONG_METHOD.rawValue), while: action)
        }
    }
}
