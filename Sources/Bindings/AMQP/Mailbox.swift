import CRabbitMQ
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A bounded queue from any thread to the one that owns a connection, and the bell that wakes it.
///
/// The bell is an eventfd, so that the thread can wait for it and for the broker at once.
package final class Mailbox<Item: Sendable>: Sendable {
    private struct State: Sendable {
        var items: [Item] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let itemMax: Int
    /// Readable while there is something to take.
    let bell: Int32

    /// - Parameter itemMax: beyond that ``put(_:)`` refuses.
    package init(itemMax: Int) {
        self.itemMax = itemMax
        bell = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(bell >= 0, "no event descriptor: \(String(cString: strerror(errno)))")
    }

    deinit { close(bell) }

    /// Hands an item over; false if the queue is full or nobody takes any more.
    @discardableResult
    package func put(_ item: Item) -> Bool {
        let (wasTaken, isFirst) = state.withLock { state in
            guard !state.isClosed, state.items.count < itemMax else { return (false, false) }
            state.items.append(item)
            return (true, state.items.count == 1)
        }
        if isFirst { ring() }
        return wasTaken
    }

    /// Wakes the thread though there is nothing to take.
    package func ring() { eventfd_write(bell, 1) }

    /// Everything put in since the last time, in order.
    ///
    /// - Parameter empty: an empty array to go on with, so that two arrays go to and fro and none grows anew.
    package func take(leaving empty: [Item] = []) -> [Item] {
        var count: UInt64 = 0
        eventfd_read(bell, &count)
        return state.withLock { state in
            var taken = empty
            swap(&state.items, &taken)
            return taken
        }
    }

    /// Refuses what comes from now on, and returns what was still there.
    package func closeAndTake() -> [Item] {
        state.withLock { state in
            state.isClosed = true
            defer { state.items = [] }
            return state.items
        }
    }
}
