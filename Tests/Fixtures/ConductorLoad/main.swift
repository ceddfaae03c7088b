// A program with a conductor inside, for tests that kill it, fail its system calls or cut its power.
//
//     conductor-load DIRECTORY CALLERS SEED COUNT
//
// So many callers each make COUNT wishes (0: for ever), one after the other, on VIMs of their own: they
// register, update and deregister, and report under right and under stale action ids. Every answer is written
// to standard output as one line (`Acknowledgement`) with one system call, right when it has come; a failure
// goes to standard error and the caller goes on. Exit code 1 if there was one.
import Conductor
import Glibc
import Logging
import Projections
import Recording
import Registry
import Samples
import Synchronization

let words = CommandLine.arguments
guard words.count == 5, let callerCount = Int(words[2]), let seed = UInt64(words[3]),
    let count = Int(words[4])
else {
    LoadCaller.complain("usage: conductor-load DIRECTORY CALLERS SEED COUNT")
    exit(2)
}
signal(SIGXFSZ, SIG_IGN)  // a file that may not grow is an error like any other
LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }

do {
    let conductor = try await Conductor(.init(directory: words[1]), logger: Logger(label: "load"))
    await withTaskGroup(of: Void.self) { group in
        for number in 0..<callerCount {
            group.addTask {
                var caller = LoadCaller(
                    name: "epoch-\(conductor.start.epoch)-caller-\(number)", conductor: conductor,
                    random: SeededGenerator(seed: seed &+ UInt64(number)))
                await caller.work(count)
            }
        }
    }
    await conductor.stop()
} catch {
    LoadCaller.complain(error.sentence)
}
exit(LoadCaller.failureCount.load(ordering: .relaxed) == 0 ? 0 : 1)
