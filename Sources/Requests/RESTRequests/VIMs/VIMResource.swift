import Encodings
import Projections
import Registry
import VIMDrivers

/// What one request knows of itself.
struct RequestScope: Sendable {
    var caller: Caller
    var actor: Actor
}

/// Registering, listing, showing, changing and deregistering VIMs: requests in, replies out.
struct VIMResource: Sendable {
    let registrar: any VIMRegistrar
    let reader: any RegistryReader
    let drivers: [VIMType: any VIMDriver]
    let probes: (any ProbeJournal)?
    let configuration: RESTConfiguration
    let turns = UpdateTurns()

    /// So often is an update computed anew when others change the VIM at the same time.
    static let updateAttemptMax = 5

    // MARK: Reading

    func list(_ parameters: QueryParameters, scope: RequestScope) throws(APIError) -> (
        ListResult<VIM>, ListQuery
    ) {
        let query = try ListQuery(parameters, table: VIMRendering.table)
        for filter in query.filters where filter.column == "id" {
            for text in filter.values where VIMID(text) == nil { throw .notUUID(text) }
        }
        let visible = reader.registeredVIMs().filter(scope.caller.mayTouch)
        return (try VIMRendering.table.select(query, from: visible), query)
    }

    func show(_ id: String, fields: [String], scope: RequestScope) throws(APIError) -> Reply {
        let vim = try visibleVIM(id, scope: scope)
        return Reply(200, ["vim": VIMRendering.table.shown(vim, fields: fields)])
    }

    /// Everything known of a VIM, with the last probes if they are made here.
    func showExtended(_ id: String, scope: RequestScope) async throws(APIError) -> Reply {
        let vim = try visibleVIM(id, scope: scope)
        var shown = VIMRendering.extendedObject(vim)
        shown["probes"] = VIMRendering.probes(await probes?.record(of: vim.id) ?? ProbeRecord())
        return Reply(200, ["vim": .object(shown)])
    }

    /// A foreign VIM is answered exactly as a missing one.
    private func visibleVIM(_ text: String, scope: RequestScope) throws(APIError) -> VIM {
        guard let id = VIMID(text) else { throw .notUUID(text) }
        guard let vim = reader.vim(id), vim.isRegistered, scope.caller.mayTouch(vim) else {
            throw .vimNotFound(text)
        }
        return vim
    }

    // MARK: Deregistering

    func delete(_ id: String, scope: RequestScope) async throws(APIError) -> Reply {
        let vim = try visibleVIM(id, scope: scope)
        do {
            _ = try await registrar.deregister(vim.id, actor: scope.actor)
        } catch {
            throw APIError(error, onUpdate: true)
        }
        return Reply(204, nil)
    }

    // MARK: Registering

    func create(_ body: [UInt8], scope: RequestScope) async throws(APIError) -> Reply {
        let given = try BodyReading.members(of: "vim", in: body, isCreation: true)
        let tenant = try tenantID(given: given, caller: scope.caller)
        let members = try VIMAttributes.checked(given, isCreation: true)
        var new = try newVIM(members, tenantID: tenant)
        if configuration.registrationCheck == .required {
            new.vim.placement = try await placement(type: new.vim.type, new.contact).text
        }
        do {
            let vim = try await registrar.register(new.vim, actor: scope.actor)
            return Reply(201, ["vim": VIMRendering.table.shown(vim, fields: [])])
        } catch {
            throw APIError(error, onUpdate: false)
        }
    }

    private func tenantID(given: [String: JSONValue], caller: Caller) throws(APIError) -> String {
        if let wanted = given["tenant_id"] {
            let isOwn = wanted.string != nil && wanted.string == caller.projectID
            guard isOwn || caller.isAdmin else {
                throw .badRequest(
                    "Specifying 'tenant_id' other than authenticated tenant in request requires "
                        + "admin privileges")
            }
            // Anything but a text is refused when the attributes are checked.
            return wanted.string ?? ""
        }
        return caller.projectID ?? configuration.defaultTenantID
    }

    private func newVIM(
        _ members: [String: JSONValue], tenantID: String
    ) throws(APIError) -> (vim: NewVIM, contact: VIMContact) {
        let word = members["type"]?.string ?? ""
        guard let type = VIMType(rawValue: word) else {
            let words = VIMType.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw .badRequestUnknownToTacker(
                "Invalid input for type. Reason: '\(word)' is not one of \(words).")
        }
        let credentials = Credentials.cleaned(members["auth_cred"]?.object ?? [:])
        try Credentials.check(credentials)
        let project = members["vim_project"]?.object ?? [:]
        let extra = members["extra"]?.object ?? [:]
        let authURL = try AuthURL.stored(members["auth_url"]?.string ?? "", type: type)
        let vim = NewVIM(
            tenantID: tenantID, type: type, name: members["name"]?.string ?? "",
            description: members["description"]?.string ?? "", authURL: authURL,
            project: JSONValue.object(project).text, credentials: Credentials.plain(credentials),
            isDefault: members["is_default"] == .bool(true),
            extra: .init(
                text: JSONValue.object(extra).text,
                monitor: try MonitorSettingsReading.settings(inExtra: extra)))
        return (vim, VIMContact(authURL: authURL, credentials: credentials, project: project))
    }

    func placement(type: VIMType, _ contact: VIMContact) async throws(APIError) -> JSONValue {
        guard let driver = drivers[type] else { throw .internalError }
        do {
            return try await driver.placement(of: contact)
        } catch {
            throw APIError(error)
        }
    }
}

// MARK: - Changing

extension VIMResource {
    /// Updates of one VIM follow each other: each is computed from what the one before left.
    func update(_ id: String, body: [UInt8], scope: RequestScope) async throws(APIError) -> Reply {
        let given = try BodyReading.members(of: "vim", in: body, isCreation: false)
        let members = try VIMAttributes.checked(given, isCreation: false)
        let vim = try visibleVIM(id, scope: scope)
        await turns.begin(vim.id)
        let result: Result<Reply, APIError>
        do throws(APIError) {
            result = .success(try await updateInTurn(id, members, scope: scope))
        } catch { result = .failure(error) }
        await turns.end(vim.id)
        return try result.get()
    }

    private func updateInTurn(
        _ id: String, _ members: [String: JSONValue], scope: RequestScope
    ) async throws(APIError) -> Reply {
        var verified: (contact: VIMContact, placement: JSONText)?
        var attempt = 1
        while true {
            let vim = try visibleVIM(id, scope: scope)
            var change = try await change(of: vim, members)
            if let contact = change.contact, configuration.registrationCheck == .required {
                // A second attempt asks the VIM again only if the other writer made a difference to it.
                if verified.map({ !$0.contact.isSame(as: contact) }) ?? true {
                    let found = try await placement(type: vim.configuration.type, contact)
                    verified = (contact, found.text)
                }
                if let found = verified?.placement, found != vim.configuration.placement {
                    change.edit.placement = found
                }
            }
            do {
                let changed = try await registrar.update(
                    vim.id, expectedVersion: vim.version, edit: change.edit, actor: scope.actor)
                return Reply(200, ["vim": VIMRendering.table.shown(changed, fields: [])])
            } catch .refused(.versionConflict) where attempt < VIMResource.updateAttemptMax {
                attempt += 1
            } catch {
                throw APIError(error, onUpdate: true)
            }
        }
    }

    /// An edit computed from one version of a VIM, and whom to ask whether it is right.
    private struct Change {
        var edit = VIMEdit()
        /// Set if the endpoint or the credentials are given.
        var contact: VIMContact?
    }

    private func change(of vim: VIM, _ members: [String: JSONValue]) async throws(APIError) -> Change {
        let stored = vim.configuration
        var change = Change()
        change.edit.name = members["name"]?.string
        change.edit.description = members["description"]?.string
        if case .bool(let isDefault) = members["is_default"] { change.edit.isDefault = isDefault }
        var project = VIMRendering.document(stored.project)
        if let given = members["vim_project"]?.object {
            project = merged(project, given)
            change.edit.project = JSONValue.object(project).text
        }
        if let given = members["extra"]?.object {
            let extra = merged(VIMRendering.document(stored.extra), given)
            change.edit.extra = .init(
                text: JSONValue.object(extra).text,
                monitor: try MonitorSettingsReading.settings(inExtra: extra))
        }
        var authURL = stored.authURL
        if let given = members["auth_url"]?.string {
            authURL = try AuthURL.stored(given, type: stored.type)
            if authURL != stored.authURL { change.edit.authURL = authURL }
        }
        let givenCredentials = members["auth_cred"]?.object
        guard givenCredentials != nil || change.edit.authURL != nil else { return change }
        let before: [String: JSONValue]
        do throws(APIError) { before = try await storedCredentials(of: vim) } catch {
            // What cannot be opened any more can still be replaced, but only by credentials that are whole.
            guard let givenCredentials, Credentials.areWhole(givenCredentials) else { throw error }
            before = [:]
        }
        let after = givenCredentials.map { Credentials.merged(stored: before, given: $0) } ?? before
        try Credentials.check(after)
        // The same credentials again are no change: the monitor action may go on.
        // Byte by byte: what Swift takes for equal texts may be two passwords to a VIM.
        if JSONValue.object(after).encoded != JSONValue.object(before).encoded {
            change.edit.credentials = Credentials.plain(after)
        }
        change.contact = VIMContact(authURL: authURL, credentials: after, project: project)
        return change
    }

    private func merged(_ stored: [String: JSONValue], _ given: [String: JSONValue]) -> [String: JSONValue] {
        JSONValue.object(stored).merged(with: .object(given)).object ?? [:]
    }

    private func storedCredentials(of vim: VIM) async throws(APIError) -> [String: JSONValue] {
        do {
            return VIMRendering.document(try await registrar.credentials(of: vim.id))
        } catch {
            throw APIError(error, onUpdate: true)
        }
    }
}
