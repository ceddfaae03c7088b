import Foundation
import Glibc

/// One kept connection to the server, used by one thread: a request out, its reply in.
final class HTTPConnection {
    /// A reply whose length the server said.
    struct Reply {
        var status: Int
        var body: Data

        /// The body as JSON.
        func json() throws -> [String: Any] {
            guard let object = try JSONSerialization.jsonObject(with: body) as? [String: Any] else {
                throw BenchmarkError("the server answered with something that is no JSON object")
            }
            return object
        }
    }

    private let descriptor: Int32
    private let host: String
    private var received = Data()

    /// - Parameters:
    ///   - address: `127.0.0.1:PORT`.
    ///   - patience: seconds to wait for a reply; nil for as long as it takes.
    init(to address: String, patience: Int? = nil) throws {
        let parts = address.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1]) else {
            throw BenchmarkError("'\(address)' is no address of a server")
        }
        host = address
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = port.bigEndian
        inet_pton(AF_INET, String(parts[0]), &place.sin_addr)
        let code = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw BenchmarkError("no connection to \(address): \(errorText)") }
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard let patience else { return }
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends a request; its reply must be taken before the next is sent.
    func send(_ method: String, _ path: String, body: String = "") throws {
        let text =
            "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                let rest = UnsafeRawBufferPointer(rebasing: $0[offset...])
                return Glibc.send(descriptor, rest.baseAddress, rest.count, 0)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw BenchmarkError("a request could not be sent: \(errorText)") }
            offset += count
        }
    }

    /// Waits for the reply to the request sent last.
    func reply() throws -> Reply {
        let ending = Data("\r\n\r\n".utf8)
        var head: Range<Data.Index>?
        while true {
            head = received.range(of: ending)
            if head != nil { break }
            try receive()
        }
        guard let head else { throw BenchmarkError("a reply without a head") }
        let text = String(decoding: received[..<head.lowerBound], as: UTF8.self)
        let lines = text.components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        var length: Int?
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == "content-length" {
                length = Int(parts[1].trimmingCharacters(in: .whitespaces))
            }
        }
        guard words.count > 1, let status = Int(words[1]) else {
            throw BenchmarkError("'\(lines[0])' is no HTTP reply")
        }
        guard let length = length ?? (status == 204 ? 0 : nil) else {
            throw BenchmarkError("a reply does not say its length")
        }
        while received.count - (head.upperBound - received.startIndex) < length { try receive() }
        let body = received[head.upperBound..<(head.upperBound + length)]
        received = Data(received[body.endIndex...])
        return Reply(status: status, body: Data(body))
    }

    /// Sends a request and waits for its reply, which must be a success.
    func exchange(_ method: String, _ path: String, body: String = "") throws -> Reply {
        try send(method, path, body: body)
        return try successfulReply("\(method) \(path)")
    }

    /// Waits for a reply that must be a success.
    func successfulReply(_ what: String) throws -> Reply {
        let reply = try reply()
        guard (200..<300).contains(reply.status) else {
            throw BenchmarkError(
                "\(what): \(reply.status) \(String(decoding: reply.body.prefix(500), as: UTF8.self))")
        }
        return reply
    }

    private func receive() throws {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0, errno == EINTR { return }
        guard count > 0 else {
            throw BenchmarkError("the server closed the connection" + (count < 0 ? ": \(errorText)" : ""))
        }
        received.append(contentsOf: buffer[..<count])
    }

    private var errorText: String { String(cString: strerror(errno)) }
}
