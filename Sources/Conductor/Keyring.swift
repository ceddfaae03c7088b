import Identity
import Registry
import Synchronization

/// The vault under the master key in use; a rotation exchanges it.
final class Keyring: Sendable {
    private struct State: Sendable {
        var current: CredentialVault
        /// Under the key that follows, while the commit that brings it into use is on its way.
        var next: CredentialVault?
    }

    private let state: Mutex<State>

    init(_ current: CredentialVault) { state = Mutex(State(current: current)) }

    /// What wraps and encrypts.
    var current: CredentialVault { state.withLock { $0.current } }

    /// Unwraps under the master key in use, or the one that is about to be.
    func unwrap(_ wrapped: [UInt8], of id: VIMID) throws(VaultFault) -> CredentialVault.DataKey {
        let state = state.withLock { $0 }
        do throws(VaultFault) { return try state.current.unwrap(wrapped, of: id) } catch {
            guard error == .otherMasterKey, let next = state.next else { throw error }
            return try next.unwrap(wrapped, of: id)
        }
    }

    /// Lets the next key open, too.
    func announce(_ next: CredentialVault) { state.withLock { $0.next = next } }

    /// Ends what ``announce(_:)`` began: the next key is the one in use from now on, or never was.
    func settle(isInUse: Bool) {
        state.withLock { state in
            if isInUse, let next = state.next { state.current = next }
            state.next = nil
        }
    }
}
