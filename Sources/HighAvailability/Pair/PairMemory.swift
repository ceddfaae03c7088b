import EventLog
import Foundation
import PairProtocol

/// What a log remembers of its pair: which one it is, and how etcd was seen last.
struct PairMemory: Codable, Equatable {
    /// Greater in a version that must not be passed over by those before it; nil is 1.
    var version: Int?
    var pair: String
    var cluster: UInt64
    var revision: UInt64
    var insync: UInt64
    /// The log that `insync` named, its 16 bytes, if it was the one that remembers this, alone.
    ///
    /// Named, since a copy of a log brings its memory to another one, of which it is not true.
    var alone: [UInt8]?

    /// What a log remembers.
    init(pair: String, _ memory: EtcdMemory, of log: EventLog) {
        self.pair = pair
        cluster = memory.revision.cluster
        revision = memory.revision.number
        insync = memory.insync
        alone = memory.isAlone ? log.identity : nil
    }

    private func memory(of log: EventLog) -> EtcdMemory {
        EtcdMemory(
            revision: EtcdRevision(cluster: cluster, number: revision), insync: insync,
            isAlone: alone == log.identity)
    }

    /// As the log keeps it: JSON.
    var bytes: [UInt8] {
        // Numbers and a string: nothing in it can fail to be encoded.
        (try? JSONEncoder().encode(self)).map(Array.init) ?? []
    }

    /// What a log remembers; nil if it was never in a pair.
    static func read(from log: EventLog, of pair: String) throws(PairFault) -> EtcdMemory? {
        let bytes: [UInt8]?
        do throws(EventLogError) { bytes = try log.pairMemory() } catch { throw PairFault(error.sentence) }
        guard let bytes else { return nil }
        guard let memory = try? JSONDecoder().decode(PairMemory.self, from: Data(bytes)),
            memory.version ?? 1 == 1
        else {
            throw PairFault(
                "\(log.path) remembers a pair in words that this version does not know: start a newer one")
        }
        guard memory.pair == pair else {
            throw PairFault(
                "\(log.path) belongs to the pair '\(memory.pair)', not to '\(pair)': name that with --pair, "
                    + "or another directory with --data-directory")
        }
        return memory.memory(of: log)
    }
}
