import FoundationEssentials
import HTTPTypes
import Hummingbird
public import Logging
import NIOCore
public import Registry
public import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#endif

/// The operator's door: HTTP/1.1 over the Unix-domain socket `operator.socket` in the data directory.
///
/// `POST /operator/v1/PATH` with the wish as JSON has the task of that path done. The answer is one JSON
/// object a line: progress, and at the end the outcome or an error. Who may open the socket (mode 0600) may
/// ask.
public struct OperatorDoor: Service {
    private let directory: String
    private let tasks: [any OperatorTask]
    private let logger: Logger
    private let onReady: @Sendable () -> Void

    /// A door in a data directory to tasks, each of another path.
    ///
    /// - Parameter onReady: called, perhaps twice, when it can be asked, or when it is clear that it cannot.
    public init(
        directory: String, tasks: [any OperatorTask], logger: Logger,
        onReady: @escaping @Sendable () -> Void = {}
    ) {
        self.directory = directory
        self.tasks = tasks
        self.logger = logger
        self.onReady = onReady
    }

    /// Serves until it is stopped gracefully; without a socket it says so, and the server goes on without it.
    public func run() async throws {
        defer { onReady() }
        guard let socket = OperatorSocket(directory: directory), socket.prepare() else {
            logger.error("the operator socket cannot be made", metadata: reason())
            onReady()
            return try await gracefulShutdown()
        }
        var serverLogger = logger
        if serverLogger.logLevel < .notice { serverLogger.logLevel = .notice }
        let application = Application(
            responder: OperatorResponder(tasks: tasks, logger: logger), server: .http1(),
            configuration: .init(address: .unixDomainSocket(path: socket.nurseryPath)),
            onServerRunning: { _ in
                if !socket.reveal() {
                    logger.error("the operator socket cannot be named", metadata: reason())
                }
                onReady()
            }, logger: serverLogger)
        defer { socket.remove() }
        try await application.run()
    }

    private func reason() -> Logger.Metadata {
        ["directory": "\(directory)", "reason": "\(String(cString: strerror(errno)))"]
    }
}

/// Finds the task, has it done and streams what it says.
struct OperatorResponder: HTTPResponder {
    typealias Context = BasicRequestContext

    static let prefix = "/operator/v1/"
    /// Wishes are a few words.
    static let wishByteMax = 1 << 20

    private let tasks: [String: any OperatorTask]
    private let logger: Logger

    init(tasks: [any OperatorTask], logger: Logger) {
        self.tasks = Dictionary(
            uniqueKeysWithValues: tasks.map { (OperatorResponder.prefix + type(of: $0).path, $0) })
        self.logger = logger
    }

    func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
        guard request.method == .post, let task = tasks[request.uri.path] else {
            let known = tasks.keys.sorted().joined(separator: ", ")
            return refusal(
                .notFound, "this server does not know \(request.uri.path); there are POST \(known)")
        }
        logger.notice("operator asked", metadata: ["path": "\(request.uri.path)"])
        return try await respond(to: request, with: task)
    }

    private func respond(to request: Request, with task: some OperatorTask) async throws -> Response {
        let body: ByteBuffer
        do { body = try await request.body.collect(upTo: OperatorResponder.wishByteMax) } catch {
            return refusal(.contentTooLarge, "the wish is longer than \(OperatorResponder.wishByteMax) bytes")
        }
        return answer(to: body, of: task)
    }

    private func answer<Task: OperatorTask>(to body: ByteBuffer, of task: Task) -> Response {
        let wish: Task.Wish
        do { wish = try JSONDecoder().decode(Task.Wish.self, from: Data(body.readableBytesView)) } catch {
            return refusal(
                .badRequest, "the wish is not what \(Task.path) takes: use the server's own version")
        }
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { writer in
                // Of progress only the newest matters; the last line does not travel through here.
                let (steps, feed) = AsyncStream.makeStream(
                    of: OperatorProgress.self, bufferingPolicy: .bufferingNewest(1))
                async let last = lastLine(of: task, wish, feed)
                for await step in steps {
                    try await writer.write(
                        ByteBuffer(bytes: OperatorLine<Task.Outcome>(progress: step).bytes))
                }
                try await writer.write(ByteBuffer(bytes: await last.bytes))
                try await writer.finish(nil)
            })
    }

    private func lastLine<Task: OperatorTask>(
        of task: Task, _ wish: Task.Wish, _ feed: AsyncStream<OperatorProgress>.Continuation
    ) async -> OperatorLine<Task.Outcome> {
        defer { feed.finish() }
        do throws(OperatorFailure) {
            let outcome = try await task.run(wish) { feed.yield($0) }
            logger.notice("operator's task done", metadata: ["path": "\(Task.path)"])
            return OperatorLine(outcome: outcome)
        } catch {
            logger.error(
                "operator's task failed", metadata: ["path": "\(Task.path)", "reason": "\(error.sentence)"])
            return OperatorLine(error: error.sentence)
        }
    }

    private func refusal(_ status: HTTPResponse.Status, _ sentence: String) -> Response {
        Response(
            status: status, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: OperatorLine<NoOutcome>(error: sentence).bytes)))
    }
}
