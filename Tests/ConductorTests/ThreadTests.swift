import Foundation
import Samples
import Synchronization
import Testing
import Threads

@Suite("Threads and doorbells")
struct ThreadTests {
    @Test("A thread runs its body under its name, and joining waits for the end")
    func thread() throws {
        let done = Atomic<Bool>(false)
        let name = Mutex("")
        let thread = DedicatedThread(name: "a-name-longer-than-fifteen") {
            let read = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
            name.withLock { $0 = read ?? "" }
            done.store(true, ordering: .sequentiallyConsistent)
        }
        thread.join()
        let isDone = done.load(ordering: .sequentiallyConsistent)
        #expect(isDone)
        #expect(name.withLock { $0 } == "a-name-longer-t\n")
    }

    @Test("A ring before the wait is not lost, and many rings are one")
    func rings() {
        let bell = Doorbell()
        for _ in 0..<10 { bell.ring() }
        bell.wait()
        let woken = Atomic<Bool>(false)
        let thread = DedicatedThread(name: "waiter") {
            bell.wait()
            woken.store(true, ordering: .sequentiallyConsistent)
        }
        let wasWoken = woken.load(ordering: .sequentiallyConsistent)
        #expect(!wasWoken)
        bell.ring()
        thread.join()
        let isWoken = woken.load(ordering: .sequentiallyConsistent)
        #expect(isWoken)
    }

    @Test("No ring is lost between two threads that hand a counter to and fro")
    func pingPong() {
        let (there, back) = (Doorbell(), Doorbell())
        let count = Atomic<Int>(0)
        let thread = DedicatedThread(name: "pong") {
            for _ in 0..<5_000 {
                there.wait()
                count.add(1, ordering: .relaxed)
                back.ring()
            }
        }
        for number in 1...5_000 {
            there.ring()
            back.wait()
            if count.load(ordering: .relaxed) != number { Issue.record("\(number)") }
        }
        thread.join()
    }
}
