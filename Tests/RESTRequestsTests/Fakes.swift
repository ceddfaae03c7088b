import Encodings
import Hummingbird
import HummingbirdTesting
import NIOCore
import Projections
import Registry
import Samples
import Synchronization
import VIMDrivers

@testable import RESTRequests

/// A registry in memory that keeps the rules of the real one.
final class FakeRegistry: VIMRegistrar, RegistryReader, ProbeJournal {
    struct State {
        var vims: [VIM] = []
        var secrets: [VIMID: JSONText] = [:]
        var history: [HistoryEntry] = []
        var dropped: DroppedHistory?
        var actors: [Actor] = []
        var edits: [VIMEdit] = []
        var seconds: UInt64 = 0
        /// So many updates are told that somebody else was quicker.
        var conflicts = 0
        /// What every command is answered, if set.
        var failure: CommandFailure?
        var record: ProbeRecord?
    }

    private let state = Mutex(State())

    func with<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        try state.withLock { try body(&$0) }
    }

    // MARK: VIMRegistrar

    func register(_ new: NewVIM, actor: Actor) async throws(CommandFailure) -> VIM {
        try mutate { state throws(CommandFailure) in
            let credentials = StoredCredentials(masked: new.credentials.masked, ciphertext: [1])
            let configuration = VIMConfiguration(
                tenantID: new.tenantID, type: new.type, name: new.name, description: new.description,
                authURL: new.authURL, project: new.project, credentials: credentials,
                placement: new.placement, isDefault: new.isDefault, extra: new.extra.text,
                monitor: new.extra.monitor)
            try FakeRegistry.check(configuration, by: nil, in: state)
            var random = SystemRandomNumberGenerator()
            let vim = VIM(
                id: VIMID(UniqueID(using: &random)), stream: UInt32(state.vims.count + 1),
                configuration: configuration, actionID: MonitorActionID(UniqueID(using: &random)),
                createdAt: FakeRegistry.now(&state))
            state.vims.append(vim)
            state.secrets[vim.id] = new.credentials.whole
            FakeRegistry.note(.create, vim, at: vim.createdAt, in: &state)
            state.actors.append(actor)
            return vim
        }
    }

    func update(
        _ id: VIMID, expectedVersion: UInt32?, edit: VIMEdit, actor: Actor
    ) async throws(CommandFailure) -> VIM {
        try mutate { state throws(CommandFailure) in
            guard let index = state.vims.firstIndex(where: { $0.id == id && $0.isRegistered }) else {
                throw .refused(.vimNotFound(id))
            }
            if state.conflicts > 0 {
                state.conflicts -= 1
                state.vims[index].version += 1
            }
            var vim = state.vims[index]
            if let expectedVersion, expectedVersion != vim.version {
                throw .refused(.versionConflict(expected: expectedVersion, actual: vim.version))
            }
            vim.configuration.name = edit.name ?? vim.configuration.name
            vim.configuration.description = edit.description ?? vim.configuration.description
            vim.configuration.authURL = edit.authURL ?? vim.configuration.authURL
            vim.configuration.project = edit.project ?? vim.configuration.project
            vim.configuration.placement = edit.placement ?? vim.configuration.placement
            vim.configuration.isDefault = edit.isDefault ?? vim.configuration.isDefault
            vim.configuration.extra = edit.extra?.text ?? vim.configuration.extra
            vim.configuration.monitor = edit.extra?.monitor ?? vim.configuration.monitor
            if let credentials = edit.credentials {
                vim.configuration.credentials = StoredCredentials(masked: credentials.masked, ciphertext: [2])
            }
            try FakeRegistry.check(vim.configuration, by: id, in: state)
            if let credentials = edit.credentials { state.secrets[id] = credentials.whole }
            vim.version += 1
            let moment = FakeRegistry.now(&state)
            vim.watch.updatedAt = moment
            state.vims[index] = vim
            state.edits.append(edit)
            state.actors.append(actor)
            FakeRegistry.note(.update, vim, at: moment, in: &state)
            return vim
        }
    }

    func deregister(_ id: VIMID, actor: Actor) async throws(CommandFailure) -> VIM {
        try mutate { state throws(CommandFailure) in
            guard let index = state.vims.firstIndex(where: { $0.id == id && $0.isRegistered }) else {
                throw .refused(.vimNotFound(id))
            }
            let moment = FakeRegistry.now(&state)
            state.vims[index].deregisteredAt = moment
            state.secrets[id] = nil
            state.actors.append(actor)
            FakeRegistry.note(.delete, state.vims[index], at: moment, in: &state)
            return state.vims[index]
        }
    }

    func credentials(of id: VIMID) async throws(CommandFailure) -> JSONText {
        try mutate { state throws(CommandFailure) in
            guard let secret = state.secrets[id] else { throw .refused(.vimNotFound(id)) }
            return secret
        }
    }

    private func mutate<Result>(
        _ body: (inout State) throws(CommandFailure) -> sending Result
    ) throws(CommandFailure) -> Result {
        try state.withLock { state throws(CommandFailure) in
            if let failure = state.failure { throw failure }
            return try body(&state)
        }
    }

    private static func check(
        _ configuration: VIMConfiguration, by id: VIMID?, in state: State
    ) throws(CommandFailure) {
        let others = state.vims.filter {
            $0.isRegistered && $0.id != id && $0.configuration.tenantID == configuration.tenantID
        }
        if others.contains(where: { $0.configuration.name == configuration.name }) {
            throw .refused(.nameTaken(configuration.name))
        }
        if configuration.isDefault, let other = others.first(where: { $0.configuration.isDefault }) {
            throw .refused(.defaultExists(other.id))
        }
    }

    private static func now(_ state: inout State) -> Timestamp {
        state.seconds += 1
        return Timestamp(microseconds: 1_795_397_393_175_906 + state.seconds * 1_000_000)
    }

    private static func note(
        _ kind: HistoryEntry.Kind, _ vim: VIM, at time: Timestamp, in state: inout State
    ) {
        state.history.append(
            HistoryEntry(
                position: UInt64(state.history.count * 3 + 1), time: time, vimID: vim.id, kind: kind,
                status: vim.status, finding: .unstated))
    }

    // MARK: RegistryReader

    func vim(_ id: VIMID) -> VIM? { with { state in state.vims.first { $0.id == id } } }
    func registeredVIMs() -> [VIM] { with { $0.vims.filter(\.isRegistered) } }
    func history(of id: VIMID?) -> [HistoryEntry] {
        with { state in state.history.filter { id == nil || $0.vimID == id } }
    }
    func historyEntry(at position: UInt64) -> HistoryEntry? {
        with { state in state.history.first { $0.position == position } }
    }
    func droppedHistory() -> DroppedHistory? { with { $0.dropped } }

    // MARK: ProbeJournal

    func record(of vimID: VIMID) async -> ProbeRecord? { with { $0.record } }
}

/// A driver that remembers whom it was to contact.
final class FakeDriver: VIMDriver {
    struct State {
        var contacts: [VIMContact] = []
        var failure: VIMDriverError?
        var placement: JSONValue = ["regions": ["RegionOne"]]
    }

    private let state = Mutex(State())

    func with<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        try state.withLock { try body(&$0) }
    }

    func placement(of contact: VIMContact) async throws(VIMDriverError) -> JSONValue {
        let (failure, placement) = with { state in
            state.contacts.append(contact)
            return (state.failure, state.placement)
        }
        if let failure { throw failure }
        return placement
    }
}

/// An answer, read.
struct Answer: Sendable {
    var status: Int
    var headers: HTTPFields
    var body: JSONValue?
    var text: String

    var errorType: String? { body?["TackerError"]?["type"]?.string }
    var message: String? { body?["TackerError"]?["message"]?.string }
}

/// A door on fakes, and a client in front of it.
struct House: Sendable {
    let registry: FakeRegistry
    let openStack: FakeDriver
    let kubernetes: FakeDriver
    let log: LogLines
    let client: any TestClientProtocol

    static func run<Result: Sendable>(
        legacy: Bool = false, check: RESTConfiguration.RegistrationCheck = .required,
        live: Bool = false, bodyTimeout: Duration = .seconds(30), role: (any ServingRole)? = nil,
        _ test: @Sendable (House) async throws -> Result
    ) async throws -> Result {
        let registry = FakeRegistry()
        let (openStack, kubernetes, lines) = (FakeDriver(), FakeDriver(), LogLines())
        var configuration = RESTConfiguration(
            legacyStatusCodes: legacy, registrationCheck: check, serverVersion: "1.2.3")
        configuration.bodyTimeout = bodyTimeout
        configuration.role = role
        let door = RESTDoor(
            registrar: registry, reader: registry,
            drivers: [.openstack: openStack, .kubernetes: kubernetes], probes: registry,
            configuration: configuration,
            logger: lines.logger)
        return try await door.application(host: "127.0.0.1", port: 0).test(live ? .live : .router) { client in
            try await test(
                House(
                    registry: registry, openStack: openStack, kubernetes: kubernetes, log: lines,
                    client: client))
        }
    }

    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil, raw: String? = nil,
        headers: HTTPFields = HTTPFields()
    ) async throws -> Answer {
        let buffer = raw.map { ByteBuffer(string: $0) } ?? body.map { ByteBuffer(bytes: $0.encoded) }
        let response = try await client.executeRequest(
            uri: path, method: method, headers: headers, body: buffer)
        let text = String(buffer: response.body)
        return Answer(
            status: response.status.code, headers: response.headers,
            body: try? JSONValue(json: text.utf8), text: text)
    }

    /// Registers a VIM and returns what the API showed of it.
    @discardableResult
    func register(_ changes: [String: JSONValue] = [:]) async throws -> [String: JSONValue] {
        let answer = try await send(.post, "/v1.0/vims.json", House.registration(changes))
        guard answer.status == 201, let vim = answer.body?["vim"]?.object else {
            throw Unexpected(answer: answer)
        }
        return vim
    }

    func registerID(_ changes: [String: JSONValue] = [:]) async throws -> String {
        try await register(changes)["id"]?.string ?? ""
    }

    struct Unexpected: Error { var answer: Answer }

    /// What the client sends to register an OpenStack cloud; a null change takes a member out.
    static func registration(_ changes: [String: JSONValue] = [:]) -> JSONValue {
        var vim: [String: JSONValue] = [
            "auth_url": "http://127.0.0.1:5000", "type": "openstack",
            "vim_project": ["name": "nfv", "project_domain_name": "Default"],
            "auth_cred": [
                "username": "nfv_user", "password": "hunter-22", "user_domain_name": "Default",
                "cert_verify": "False",
            ],
            "name": "n1", "is_default": false,
        ]
        for (key, value) in changes { vim[key] = value }
        return ["vim": .object(vim)]
    }

    static func registration(without keys: String...) -> JSONValue {
        var vim = registration()["vim"]?.object ?? [:]
        for key in keys { vim[key] = nil }
        return ["vim": .object(vim)]
    }
}
