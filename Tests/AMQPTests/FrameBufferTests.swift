import CRabbitMQ
import Foundation
import Testing

@testable import AMQP

@Suite("Gathered frames")
struct FrameBufferTests {
    @Test(
        "They are byte for byte what the C library writes, one call after the other",
        arguments: [
            Publication(exchange: "", routingKey: "reply_1", isMandatory: true, body: Array("{}".utf8)),
            Publication(
                exchange: "tacker", routingKey: "TOPIC", isPersistent: true, expirationMilliseconds: 60_000,
                body: Array(repeating: 0xCE, count: 300)),
            Publication(exchange: "x", routingKey: "", body: []),
            Publication(exchange: "x", routingKey: "é", body: Array(repeating: 7, count: 200_000)),
        ])
    func same(_ publication: Publication) throws {
        var frameByteMax = 0
        let written = try writtenByLibrary { state in
            frameByteMax = Int(amqp_get_frame_max(state))
            #expect(Connection.publish(publication, on: 3, of: state) == 0)
            #expect(amqp_basic_ack(state, 3, 0x0102_0304_0506_0708, 1) == 0)
            #expect(amqp_basic_ack(state, 1, 9, 0) == 0)
        }
        var frames = FrameBuffer(frameByteMax: frameByteMax)
        try frames.publish(publication, on: 3)
        frames.acknowledge(0x0102_0304_0506_0708, isMultiple: true, on: 3)
        frames.acknowledge(9, isMultiple: false, on: 1)
        #expect(frames.bytes == written)
        frames.removeAll()
        #expect(frames.bytes.isEmpty)
    }

    @Test("A name that the protocol cannot hold is refused, and leaves nothing behind")
    func longName() throws {
        var frames = FrameBuffer(frameByteMax: 4_096)
        frames.acknowledge(1, isMultiple: false, on: 1)
        let before = frames.bytes
        let name = String(repeating: "a", count: FrameBuffer.nameByteMax)
        #expect(throws: AMQPError.self) {
            try frames.publish(Publication(exchange: "", routingKey: name + "b", body: [1]), on: 1)
        }
        #expect(frames.bytes == before)
        try frames.publish(Publication(exchange: "", routingKey: name, body: [1]), on: 1)
    }

    /// What the library writes to its socket, which is one end of a pair here.
    private func writtenByLibrary(_ body: (amqp_connection_state_t) -> Void) throws -> [UInt8] {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        // Room for all that is written before anybody reads.
        var room: Int32 = 4 << 20
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
        let state = try #require(amqp_new_connection())
        let socket = try #require(amqp_tcp_socket_new(state))
        amqp_tcp_socket_set_sockfd(socket, ends[0])
        body(state)
        // Closes its end.
        amqp_destroy_connection(state)
        defer { close(ends[1]) }
        var written: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(ends[1], &piece, piece.count), count > 0 { written += piece[..<count] }
        return written
    }
}
