import Registry

/// What probes took from `auth_cred`, one entry an action, so that not every probe decrypts it anew.
actor AccessCache {
    private struct Entry {
        var actionID: MonitorActionID
        var access: VIMAccess
    }

    private let source: any CredentialSource
    private let contexts: TLSContexts
    private var entries: [VIMID: Entry] = [:]
    /// Counts the forgetting of each VIM's entry while a fetch may be under way.
    private var forgetCount: UInt64 = 0

    init(source: any CredentialSource, contexts: TLSContexts) {
        self.source = source
        self.contexts = contexts
    }

    /// What is known for the action; nothing is kept of a fetch that brought nothing.
    func access(of vimID: VIMID, for actionID: MonitorActionID) async -> VIMAccess {
        if let entry = entries[vimID], entry.actionID == actionID { return entry.access }
        let before = forgetCount
        guard let text = await source.credentials(of: vimID, for: actionID) else { return VIMAccess() }
        var access = VIMAccess(text)
        access.tls = contexts.shared(access.tls)
        // Whatever was forgotten meanwhile may have been this entry: then it is fetched once more.
        if forgetCount == before { entries[vimID] = Entry(actionID: actionID, access: access) }
        return access
    }

    func forget(_ vimID: VIMID) {
        forgetCount += 1
        entries[vimID] = nil
    }
}
