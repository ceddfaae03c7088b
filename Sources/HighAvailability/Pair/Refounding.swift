public import EventLog
public import PairEtcd
import PairProtocol

/// An operator's word that a log holds all that its pair acknowledged, after etcd was restored or lost.
///
/// No node can know that: what etcd said of the members is old or gone. So nodes refuse such an etcd, until
/// this makes a log the only one in sync there, and lets it remember this etcd instead of the one it knew.
public struct Refounding: Sendable {
    private let log: EventLog
    private let keys: PairKeys
    private let identity: LogIdentity

    /// - Parameter log: to ``run()``, opened to write, so that no server has it.
    /// - Throws: ``PairFault`` if it was never in this pair.
    public init(of log: EventLog, _ keys: PairKeys) throws(PairFault) {
        guard try PairMemory.read(from: log, of: keys.pair) != nil else {
            throw PairFault(
                "\(log.path) was never in a pair: start its server with --pair \(keys.pair) to found one")
        }
        self.log = log
        self.keys = keys
        identity = LogIdentity(log.identity)
    }

    /// Founds the pair anew on this log; may be done again if it was interrupted.
    ///
    /// - Throws: ``PairFault`` while another node lives, or with what etcd or the log says.
    public func run() async throws(PairFault) {
        let snapshot: EtcdSnapshot
        do throws(PairEtcdFault) {
            if let other = try await keys.members().first(where: { $0.key != identity }) {
                throw PairEtcdFault.isAlive(other.key, host: other.value.name)
            }
            try await keys.raise(above: log.head.epoch)
            snapshot = try await keys.refound(by: identity)
        } catch { throw PairFault(error.description) }
        let memory = EtcdMemory(
            revision: snapshot.revision, insync: snapshot.insync?.revision ?? 0, isAlone: true)
        do throws(EventLogError) {
            try log.store(pairMemory: PairMemory(pair: keys.pair, memory, of: log).bytes)
        } catch { throw PairFault(error.sentence) }
    }
}
