import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
public import Registry

/// The other side of the operator's door: asks the server that runs on a data directory.
public struct OperatorClient: Sendable {
    private let socket: OperatorSocket

    /// Nil if no server answers there.
    public init?(directory: String) {
        guard let socket = OperatorSocket(directory: directory), socket.answers else { return nil }
        self.socket = socket
    }

    /// Has the server do a task and returns what came of it.
    ///
    /// - Throws: the server's sentence, or one that says that it went away.
    public func ask<Task: OperatorTask>(
        _ task: Task.Type, _ wish: Task.Wish, progress: (OperatorProgress) -> Void
    ) async throws(OperatorFailure) -> Task.Outcome {
        var configuration = HTTPClient.Configuration()
        // A server that has ended since it was looked for does not come back for this.
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(
            eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
        let result: Result<Task.Outcome, OperatorFailure>
        do throws(OperatorFailure) {
            result = .success(try await ask(task, wish, by: client, progress: progress))
        } catch { result = .failure(error) }
        // A failure to close leaves nothing to do: all has been said.
        try? await client.shutdown()
        return try result.get()
    }

    private func ask<Task: OperatorTask>(
        _ task: Task.Type, _ wish: Task.Wish, by client: HTTPClient, progress: (OperatorProgress) -> Void
    ) async throws(OperatorFailure) -> Task.Outcome {
        do {
            let escaped = socket.path.replacing("/", with: "%2F")
            var request = HTTPClientRequest(
                url: "http+unix://\(escaped)\(OperatorResponder.prefix)\(Task.path)")
            request.method = .POST
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(wish)))
            // A task takes as long as it takes.
            let response = try await client.execute(request, deadline: .distantFuture)
            var rest = ByteBuffer()
            for try await part in response.body {
                rest.writeImmutableBuffer(part)
                while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")),
                    let bytes = rest.readData(length: end + 1 - rest.readerIndex)
                {
                    let line = try JSONDecoder().decode(OperatorLine<Task.Outcome>.self, from: bytes)
                    if let sentence = line.error { throw OperatorFailure(sentence) }
                    if let outcome = line.outcome { return outcome }
                    if let step = line.progress { progress(step) }
                }
            }
        } catch let failure as OperatorFailure {
            throw failure
        } catch is CancellationError {
            throw OperatorFailure("interrupted")
        } catch {
            throw OperatorFailure(
                "the server stopped answering (\(error)): look at its log, and whether it still runs")
        }
        throw OperatorFailure("the server ended before it was done: start it again, and look at its log")
    }
}
