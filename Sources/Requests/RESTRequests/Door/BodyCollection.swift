import Hummingbird
import NIOCore

/// Reading a request's body within its limits.
enum BodyCollection {
    /// Reads the whole body; refuses what is too long as soon as that is known.
    static func collect(_ request: Request, configuration: RESTConfiguration) async throws -> [UInt8] {
        let byteMax = configuration.bodyByteMax
        let tooLarge = APIError.tooLarge("The request body is longer than \(byteMax) bytes")
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > byteMax {
            throw tooLarge
        }
        let timeout = configuration.bodyTimeout
        let body = request.body
        return try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            group.addTask {
                do {
                    return Array(try await body.collect(upTo: byteMax).readableBytesView)
                } catch is NIOTooManyBytesError {
                    throw tooLarge
                }
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let bytes = first else { throw APIError.bodyTimedOut }
            return bytes
        }
    }
}
