public import EtcdClient
public import PairProtocol

/// Why something could not be done to the pair's keys in etcd.
public enum PairEtcdFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// A pair's name stands in the keys.
    case badName(String)
    /// etcd did not do it, or may not have done it.
    case etcd(EtcdFault)
    /// A key holds what no node of a pair puts there.
    case foreignValue(key: String, value: String)
    /// No pair was founded under this name.
    case notFounded(pair: String)
    /// `insync` does not name this log.
    case notInSync(LogIdentity)
    /// Nobody else holds what was acknowledged.
    case isLast(LogIdentity)
    /// It leads.
    case leads(LogIdentity)
    /// Its node lives, and must not.
    case isAlive(LogIdentity, host: String)
    /// A key changed between the look and the change, so nothing was changed.
    case changedMeanwhile
    /// etcd's revision is too far below an epoch.
    case tooFarBelow(revision: UInt64, epoch: UInt64, changesMax: UInt64)

    /// A sentence or two; the last one says what to do.
    public var description: String {
        switch self {
        case .badName(let name):
            "'\(name)' cannot be a pair's name. Take 1 to 64 letters, digits, '-', '_' and '.'"
        case .etcd(let fault): fault.description
        case .foreignValue(let key, let value):
            "the key \(key) of etcd holds '\(value)', which no node of a pair of this version puts there. "
                + "Give the pair a name that nobody else uses, or, if a later version did, upgrade this one"
        case .notFounded(let pair): "etcd knows no pair '\(pair)'. Start its first node"
        case .notInSync(let identity):
            "the log \(PairKeys.text(of: identity)) is not in insync, so there is nothing to remove"
        case .isLast(let identity):
            "the log \(PairKeys.text(of: identity)) is the last that holds all that was acknowledged. "
                + "Let another log catch up first"
        case .leads(let identity):
            "the log \(PairKeys.text(of: identity)) leads. Let the other node lead first"
        case .isAlive(let identity, let host):
            "the node with the log \(PairKeys.text(of: identity)) on \(host) runs, or did a moment ago. "
                + "Stop its server; if it was killed, try again when its lease is over"
        case .changedMeanwhile: "the pair changed meanwhile, so nothing was changed. Look again"
        case .tooFarBelow(let revision, let epoch, let changesMax):
            "etcd's revision, \(revision), is below the log's epoch, \(epoch), by more than the "
                + "\(changesMax) changes that are made to lift it. Use the etcd that the log was used with"
        }
    }
}
