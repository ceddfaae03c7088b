import Registry
import Synchronization

/// Tells the reconciler which streams to look at: set by the pipeline, taken by one consumer.
final class ChangeFeed: Sendable {
    let signals: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let changed = Mutex<Set<UInt32>>([])

    init() {
        (signals, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether the reconciler must look at an event's stream; reports change nothing here.
    static func concerns(_ event: Event) -> Bool {
        switch event {
        case .vimRegistered, .vimUpdated, .vimDeregistered, .vimMonitorAssigned: true
        case .vimStatusReported, .vimMonitorLaunched, .vimMonitorStopped, .vimCredentialsShredded,
            .commandRefused, .epochStarted, .logArchived, .logDropped, .vaultRotated:
            false
        }
    }

    func note(_ streams: Set<UInt32>) {
        changed.withLock { $0.formUnion(streams) }
        continuation.yield()
    }

    /// The streams changed since the last call.
    func take() -> Set<UInt32> {
        changed.withLock { changed in
            defer { changed = [] }
            return changed
        }
    }

    func end() { continuation.finish() }
}
