import EventLog
import Foundation
import Reference
import Registry
import Synchronization

/// The log alone, fed status reports in batches of given sizes: no conductor, no callers.
final class BareLog {
    let log: EventLog
    private var source: ReportSource
    private var batch = BatchBuilder(firstPosition: 1, time: 0)
    private(set) var gatherNanoseconds: UInt64 = 0
    private(set) var eventCount = 0
    private let emptyByteCount: Int

    init(directory: String, streams: Int, seed: UInt64) throws {
        log = try EventLog(directory: directory, access: .write)
        source = ReportSource(streams: streams, seed: seed)
        emptyByteCount = log.usedByteCount
    }

    /// Bytes of the data file in use by the appended events, by their own bytes.
    var fileBytesPerEventByte: Double {
        Double(log.usedByteCount - emptyByteCount) / Double(eventCount * Int(REFERENCE_EVENT_BYTES))
    }

    /// Gathers, seals and stores one batch per element, one after another; returns the seconds.
    func append(_ eventCounts: [UInt32]) throws -> Double {
        try timed {
            for count in eventCounts {
                let start = nowNanoseconds()
                gather(count, after: log.head)
                gatherNanoseconds += nowNanoseconds() - start
                _ = try log.append(&batch, epoch: 1)
            }
        }.seconds
    }

    /// The same, but the next batch is gathered and sealed while another thread stores one.
    func appendOverlapped(_ eventCounts: [UInt32]) throws -> Double {
        try timed {
            let storer = Storer(log: log, batchCount: eventCounts.count)
            var tail = log.head
            for count in eventCounts {
                gather(count, after: tail)
                tail = batch.seal(epoch: 1, after: tail)
                batch = storer.exchange(batch)
            }
            try storer.finish()
        }.seconds
    }

    private func gather(_ count: UInt32, after head: Head) {
        batch.reset(
            firstPosition: head.position + 1, time: max(head.time, Timestamp.benchmarkNow.microseconds))
        source.gather(count, into: &batch)
        eventCount += Int(count)
    }
}

/// Reports on streams chosen at random.
private struct ReportSource {
    private var random: SeededGenerator
    private var previous: [UInt64]

    init(streams: Int, seed: UInt64) {
        random = SeededGenerator(seed: seed)
        previous = [UInt64](repeating: 0, count: streams)
    }

    mutating func gather(_ count: UInt32, into batch: inout BatchBuilder) {
        for _ in 0..<count {
            // As the C loop chooses.
            let stream = Int(random.next() % UInt64(previous.count))
            let event = Event.vimStatusReported(
                VIMStatusReported(
                    actionID: MonitorActionID(UniqueID(high: UInt64(stream), low: ~UInt64(stream))),
                    status: .reachable, verdict: .accepted,
                    finding: ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 1_500)))
            previous[stream] = event.withPayload { format, payload in
                batch.append(
                    stream: UInt32(stream) + 1, previousInStream: previous[stream],
                    type: event.type.rawValue, format: format, payload: payload)
            }
        }
    }
}

/// A thread that stores sealed batches, at most one waiting behind the one that is being stored.
private final class Storer: Sendable {
    private struct Belt: Sendable {
        var sealed: [BatchBuilder] = []
        var spare = [
            BatchBuilder(firstPosition: 1, time: 0), BatchBuilder(firstPosition: 1, time: 0),
        ]
        var failure: EventLogError?
    }

    private let belt = Mutex(Belt())
    private let filled = DispatchSemaphore(value: 0)
    private let room = DispatchSemaphore(value: 1)
    private let ended = DispatchSemaphore(value: 0)

    init(log: EventLog, batchCount: Int) {
        Thread { [self] in
            for _ in 0..<batchCount {
                filled.wait()
                let batch = belt.withLock { $0.sealed.removeFirst() }
                room.signal()
                do throws(EventLogError) { _ = try log.append(sealed: batch) } catch {
                    belt.withLock { $0.failure = error }
                    break
                }
                belt.withLock { $0.spare.append(batch) }
            }
            ended.signal()
        }.start()
    }

    /// Hands a sealed batch over, and takes an empty one.
    func exchange(_ sealed: BatchBuilder) -> BatchBuilder {
        room.wait()
        let spare = belt.withLock { belt in
            belt.sealed.append(sealed)
            return belt.spare.popLast()
        }
        filled.signal()
        return spare ?? BatchBuilder(firstPosition: 1, time: 0)
    }

    /// Waits until everything is stored.
    func finish() throws {
        ended.wait()
        if let failure = belt.withLock({ $0.failure }) { throw failure }
    }
}
