import EtcdClient
public import PairProtocol

// What an operator wants of the pair: it stands in etcd, where whoever leads finds it.
extension PairKeys {
    private var wishKey: String { "/vedette/\(pair)/wish" }
    /// A wish that nobody takes is gone after so long.
    private static let wishLife: Duration = .seconds(10)

    /// Asks the leader to let the other node lead.
    ///
    /// - Throws: ``PairEtcdFault``; what was not stored is not wished.
    public func wishSwitchover(from leader: LogIdentity) async throws(PairEtcdFault) {
        let lease: EtcdLease
        do throws(EtcdFault) { lease = try await client.grantLease(PairKeys.wishLife) } catch {
            throw .etcd(error)
        }
        let wish = Array(PairKeys.text(of: leader).utf8)
        _ = try await commit([], [.put(wishKey, wish, lease: lease.id)])
    }

    /// Takes the wish that a leader lets the other node lead; false if there is none, or not of this one.
    public func takeSwitchoverWish(of leader: LogIdentity) async throws(PairEtcdFault) -> Bool {
        guard let wish = try await commit([], [.get(wishKey)]).found.first?.first,
            wish.value == Array(PairKeys.text(of: leader).utf8)
        else { return false }
        return try await commit([.modified(wishKey, at: wish.modified)], [.delete(wishKey)]).isDone
    }
}
