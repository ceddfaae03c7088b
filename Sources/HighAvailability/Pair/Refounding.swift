public import EventLog
public import PairEtcd
import PairProtocol

/// An operator's word that a log is the one its pair goes on with: after etcd was restored or lost, or where
/// a pair was founded on another log first.
///
/// No node can know that: what etcd says of the members is old, gone, or of a log that has less. So nodes
/// refuse such an etcd, or such a pair, until this makes a log the only one in sync there, and lets it
/// remember this etcd instead of the one it knew.
public struct Refounding: Sendable {
    private let log: EventLog
    private let keys: PairKeys
    private let identity: LogIdentity

    /// - Parameter log: to ``run()``, opened to write, so that no server has it.
    public init(of log: EventLog, _ keys: PairKeys) {
        self.log = log
        self.keys = keys
        identity = LogIdentity(log.identity)
    }

    /// Looks whether it takes an operator's word at all.
    ///
    /// - Throws: ``PairFault`` if there is no pair, and never was with this log: its server founds one.
    public func check() async throws(PairFault) {
        if try PairMemory.read(from: log, of: keys.pair) != nil { return }
        do throws(PairEtcdFault) { if try await keys.snapshot().insync != nil { return } } catch {
            throw PairFault(error.description)
        }
        throw PairFault(
            "\(log.path) was never in a pair, and there is none: start its server with --pair \(keys.pair) "
                + "to found one")
    }

    /// Founds the pair anew on this log; may be done again if it was interrupted.
    ///
    /// - Throws: ``PairFault`` while another node lives, or with what etcd or the log says.
    public func run() async throws(PairFault) {
        try await check()
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
