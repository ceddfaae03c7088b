import ServiceLifecycle

/// A service that starts when a gate opens.
///
/// One server socket is set up after the other: with both at once, Swift 6.3's runtime crashed twice in
/// some 450 starts on an event loop's thread (a null metadata pointer), most likely because two loops made
/// the same types for the first time together. It also lets commands find the operator's door as soon as
/// the server says where it serves.
struct Later: Service {
    let gate: AsyncStream<Void>
    let service: any Service

    func run() async throws {
        for await _ in gate {}
        try await service.run()
    }
}

/// Something that runs until it is cancelled, as a service that a graceful shutdown ends.
struct Loop: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            do { try await body() } catch is CancellationError {}
        }
    }
}
