#if canImport(Glibc)
    import Glibc
#endif

/// Wakes a waiting thread; rings while nobody waits are kept as one.
public final class Doorbell: @unchecked Sendable {
    // Sendable because the mutex guards `rung`, and both it and the condition stay where they were
    // allocated until deinit.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var rung = false

    /// A bell that has not rung.
    public init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Wakes the waiting thread, or the next to wait.
    public func ring() {
        pthread_mutex_lock(mutex)
        rung = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Blocks the calling thread until the bell has rung since the last wait.
    public func wait() {
        pthread_mutex_lock(mutex)
        while !rung { pthread_cond_wait(condition, mutex) }
        rung = false
        pthread_mutex_unlock(mutex)
    }
}
