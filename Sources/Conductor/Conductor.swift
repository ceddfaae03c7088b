public import EventLog
import Identity
public import Logging
public import Projections
public import Registry
import Synchronization
import Threads

#if canImport(Glibc)
    import Glibc
#endif

/// The conductor: registers, updates and deregisters VIMs and answers their monitor actions.
///
/// Every call that returns has its events durable in the log. Usable without any door: another program
/// opens one over a directory, calls it, and stops it.
public final class Conductor: Sendable {
    /// A checkpoint is stored after so many events: bounds the tail that a restart replays to about 0.2 s.
    static let checkpointInterval: UInt64 = 1_000_000

    /// How a conductor is opened.
    public struct Options: Sendable {
        /// The directory of the log; made if it is not there.
        public var directory: String
        /// The file of the master key; nil means `master.key` in the directory.
        ///
        /// Made if there is no log yet.
        public var masterKeyFile: String?
        /// Start although the master key is missing or another one.
        ///
        /// Credentials encrypted under the lost key stay unreadable until they are set anew.
        public var replacesMasterKey = false
        /// The program's version, for `conductor.epoch_started`.
        public var version = "embedded"
        /// The most bytes the data file may ever have; address space, not disk.
        public var mapByteCount = Limits.mapByteCount
        /// Tells the time; the log never lets it run backwards.
        public var now: @Sendable () -> Timestamp = { Timestamp.systemNow }
        /// Told of the progress of a long replay at the start.
        public var progress: (@Sendable (Replay.Progress) -> Void)?

        /// Options for a directory.
        public init(directory: String) { self.directory = directory }
    }

    /// Nil once the conductor has stopped.
    private let log: Mutex<EventLog?>
    let pipeline: CommitPipeline
    let archiver: Archiver
    private let thread: DedicatedThread
    let keyring: Keyring
    let keyFile: MasterKeyFile
    let vaultGate = VaultGate()
    private let changes: ChangeFeed
    private let isStopped = Atomic<Bool>(false)

    /// What was replayed at the start.
    public let start: StartReport

    /// What was replayed at the start.
    public struct StartReport: Sendable {
        /// The checkpoint it began with; 0 if there was none.
        public var checkpointPosition: UInt64
        /// How many events were replayed after it.
        public var replayedCount: UInt64
        /// The epoch this conductor writes in.
        public var epoch: UInt64
    }

    /// Opens the log, replays it and begins a new epoch.
    ///
    /// - Throws: ``StartFault`` with one sentence that says what to do; nothing is changed then.
    public init(_ options: Options, logger: Logger) async throws(StartFault) {
        let log: EventLog
        do throws(EventLogError) {
            log = try EventLog(
                directory: options.directory, access: .write, mapByteCount: options.mapByteCount)
        } catch {
            if case .inUse = error { throw StartFault(error.sentence, isInUse: true) }
            throw StartFault(error.sentence)
        }
        Conductor.tellOfTakenBackCommit(in: log, logger)
        try Conductor.checkAlone(log)
        keyFile = MasterKeyFile(options.masterKeyFile ?? options.directory + "/master.key")
        try Conductor.settleRotation(of: keyFile, log)
        let vault = try Conductor.openVault(keyFile, log, options)
        keyring = Keyring(vault)
        let replay = try Conductor.replay(log, progress: options.progress)
        if !options.replacesMasterKey {
            try Conductor.checkMasterKey(of: vault, file: keyFile.path, log: log, table: replay.table)
        }
        self.log = Mutex(log)
        let epoch = log.head.epoch + 1
        start = StartReport(
            checkpointPosition: replay.checkpointPosition, replayedCount: replay.eventCount, epoch: epoch)
        let changes = ChangeFeed()
        self.changes = changes
        pipeline = CommitPipeline(table: replay.table, now: options.now) { changes.note($0) }
        archiver = Archiver(pipeline: pipeline)
        thread = pipeline.start(log: log, epoch: epoch, logger: logger)
        do throws(CommandFailure) {
            _ = try await pipeline.submit(.startEpoch(Conductor.epochStarted(epoch, options)))
        } catch {
            await stop()
            throw StartFault(error.sentence)
        }
    }

    /// A conductor on the log of a pair's leader, which somebody else opened and goes on owning.
    ///
    /// It answers nobody before ``beginEpoch(_:)`` has returned.
    /// - Parameters:
    ///   - table: the fold of the log up to its head.
    ///   - epoch: higher than any in the log.
    /// - Throws: ``StartFault`` if the master key is missing or another one.
    public init(
        leading log: EventLog, from table: VIMTable, epoch: UInt64, _ options: Options,
        with partnership: any Partnership, logger: Logger
    ) throws(StartFault) {
        keyFile = MasterKeyFile(options.masterKeyFile ?? options.directory + "/master.key")
        try Conductor.settleRotation(of: keyFile, log)
        keyring = Keyring(try Conductor.openVault(keyFile, log, options))
        if !options.replacesMasterKey {
            try Conductor.checkMasterKey(
                of: keyring.current, file: keyFile.path, log: log, table: table)
        }
        self.log = Mutex(log)
        start = StartReport(checkpointPosition: table.position, replayedCount: 0, epoch: epoch)
        let changes = ChangeFeed()
        self.changes = changes
        pipeline = CommitPipeline(table: table, partnership: partnership, now: options.now) {
            changes.note($0)
        }
        archiver = Archiver(pipeline: pipeline)
        thread = pipeline.start(log: log, epoch: epoch, logger: logger)
    }

    /// Tells the operator if opening a log took a commit back.
    public static func tellOfTakenBackCommit(in log: EventLog, _ logger: Logger) {
        guard log.hasTakenBackCommit else { return }
        logger.warning(
            "the machine had stopped in the middle of a commit, of which nobody was told: it was taken back",
            metadata: ["position": "\(log.head.position)"])
    }

    /// Returns once the epoch is acknowledged: stored here, and by the partner if there is one.
    public func beginEpoch(_ options: Options) async throws(CommandFailure) {
        _ = try await pipeline.submit(.startEpoch(Conductor.epochStarted(start.epoch, options)))
    }

    /// The pair has everything up to a position: what waits for it is answered.
    ///
    /// From any thread.
    public func acknowledge(upTo position: UInt64) { pipeline.acknowledge(upTo: position) }

    /// The lead is lost: nothing is acknowledged any more.
    ///
    /// From any thread; ``stop()`` waits for the end.
    public func abandon() { pipeline.abandon() }

    static func epochStarted(_ epoch: UInt64, _ options: Options) -> EpochStarted {
        EpochStarted(
            epoch: epoch, version: options.version, host: Conductor.hostName, processID: UInt32(getpid()))
    }

    /// The log; nil once the conductor has stopped.
    var openLog: EventLog? { log.withLock { $0 } }

    /// The last durable place of the log; nil once the conductor has stopped.
    public var head: Head? { log.withLock { $0?.head } }

    /// Commits what waits, stores a checkpoint and lets the log go; later calls throw
    /// ``CommandFailure/stopped``.
    public func stop() async {
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        pipeline.stop()
        await Conductor.join(thread)
        log.withLock { $0 = nil }
        changes.end()
    }

    deinit {
        // After `abandon()` the thread ends by itself, and whoever led need not wait for it.
        if !isStopped.load(ordering: .relaxed) { thread.detach() }
    }

    /// Waits for a thread's end.
    static func join(_ thread: DedicatedThread) async {
        await withCheckedContinuation { continuation in
            // A thread waits for the thread, so that no cooperative one blocks.
            DedicatedThread(name: "vedette-stop") {
                thread.join()
                continuation.resume()
            }.detach()
        }
    }

    /// `update_vim(vim_id, status, action_id)`: answers the status, or `bad_action` if the action is not the
    /// wanted one or the VIM is unknown or deregistered.
    ///
    /// - Throws: ``Refusal/unknownStatus(_:)`` for a word that no monitor may claim; nothing is stored then.
    public func updateVIM(
        _ id: VIMID, status word: String, actionID: MonitorActionID, finding: ProbeFinding = .unstated
    ) async throws(CommandFailure) -> ReportAnswer {
        guard let status = VIMStatus(reportedWord: word) else { throw .refused(.unknownStatus(word)) }
        return try await report(StatusReport(id: id, status: status, actionID: actionID, finding: finding))
    }

    /// Reads the acknowledged state.
    ///
    /// The body must be quick: it runs under a lock that the writer needs.
    public func read<Result>(_ body: (borrowing VIMTable) -> Result) -> Result { pipeline.read(body) }

    /// Whether the last commit failed: monitors are then silent through no fault of their own.
    public var isDiskFailing: Bool { pipeline.isDiskFailing }

    /// Elements whenever VIMs were registered, changed, deregistered or got another monitor action; for one
    /// consumer.
    ///
    /// ``takeChangedVIMs()`` tells which.
    public var changeSignals: AsyncStream<Void> { changes.signals }

    /// The VIMs changed since the last call, as they are now.
    public func takeChangedVIMs() -> [VIM] {
        let streams = changes.take()
        return read { table in streams.compactMap { table.vim(ofStream: $0) } }
    }

    /// Folds a log into the table of VIMs, from its checkpoint if it has one.
    public static func replay(
        _ log: EventLog, progress: (@Sendable (Replay.Progress) -> Void)?
    ) throws(StartFault) -> Replay {
        do throws(ReadError<ProjectionFault>) {
            let checkpoint: Checkpoint?
            do throws(EventLogError) { checkpoint = try log.readCheckpoint() } catch { throw .log(error) }
            return try Replay(of: log, from: checkpoint, verifyingSeals: true, progress: progress)
        } catch {
            switch error {
            case .log(let error): throw StartFault(error.sentence)
            case .body(let fault): throw StartFault(fault.error(in: log).sentence)
            }
        }
    }

    private static func openVault(
        _ file: MasterKeyFile, _ log: EventLog, _ options: Options
    ) throws(StartFault) -> CredentialVault {
        do throws(MasterKeyFault) {
            return CredentialVault(
                master: try MasterKey(
                    file: file.path, mayCreate: log.head.position == 0 || options.replacesMasterKey))
        } catch { throw StartFault(error.sentence) }
    }

    /// Refuses a log of a pair: what it took alone, the other one would not have.
    static func checkAlone(_ log: EventLog) throws(StartFault) {
        let isOfPair: Bool
        do throws(EventLogError) { isOfPair = try log.pairMemory() != nil } catch {
            throw StartFault(error.sentence)
        }
        guard isOfPair else { return }
        throw StartFault(
            "\(log.path) belongs to a pair: start it with --pair, or restore a backup of it into another "
                + "directory to use that alone")
    }

    /// Refuses a master key that opens nothing: what is encrypted under it would be lost to the right one.
    private static func checkMasterKey(
        of vault: CredentialVault, file: String, log: EventLog, table: VIMTable
    ) throws(StartFault) {
        var isForeign = false
        for vim in table.allVIMs where vim.isRegistered {
            let wrapped: [UInt8]?
            do throws(EventLogError) { wrapped = try log.vaultValue(for: vim.id.value.bytes) } catch {
                throw StartFault(error.sentence)
            }
            guard let wrapped else { continue }
            do throws(VaultFault) {
                _ = try vault.unwrap(wrapped, of: vim.id)
                return  // it opens something, so it is one of ours; usually the first look says so
            } catch { isForeign = isForeign || error == .otherMasterKey }
        }
        guard isForeign else { return }
        throw StartFault(
            "master key file \(file) holds another key than the one that encrypted the credentials: put that "
                + "key back, or add --replace-master-key and set all credentials anew")
    }

    /// The machine's name.
    public static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, buffer.count - 1)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func dataKey(of id: VIMID) throws(CommandFailure) -> CredentialVault.DataKey {
        guard let log = log.withLock({ $0 }) else { throw .stopped }
        var fault = VaultFault.malformed
        // Twice, since a rotation may have come between reading and opening.
        for _ in 0..<2 {
            let wrapped: [UInt8]?
            do throws(EventLogError) { wrapped = try log.vaultValue(for: id.value.bytes) } catch {
                throw .notStored(error.sentence)
            }
            guard let wrapped else { throw .notStored("the data key of VIM \(id) is gone") }
            do throws(VaultFault) { return try keyring.unwrap(wrapped, of: id) } catch { fault = error }
            guard fault == .otherMasterKey else { break }
        }
        throw .notStored("the data key of VIM \(id) cannot be opened: \(fault.sentence)")
    }
}

/// Why a conductor could not start: one sentence with what to do.
public struct StartFault: Error, Hashable, Sendable {
    /// One sentence.
    public let sentence: String
    /// Another process writes the log.
    public let isInUse: Bool

    init(_ sentence: String, isInUse: Bool = false) {
        self.sentence = sentence
        self.isInUse = isInUse
    }
}

extension Conductor: CommandSubmitter {
    /// Takes a command and returns at once; replies on a thread of the pipeline once its events are durable.
    public func submit(_ command: Command, reply: @escaping CommandReply) {
        pipeline.submit(command, reply: reply)
    }

    /// Takes commands that came together, without letting anything come in between; the calling thread may
    /// store them, if it may block.
    public func submit(_ commands: [Command], mayBlock: Bool, reply: @escaping CommandsReply) {
        let answers = GatheredAnswers(count: commands.count, reply: reply)
        pipeline.submit(
            commands.enumerated().map { index, command in
                Submission(command: command, reply: answers.reply(at: index))
            }, mayBlock: mayBlock)
    }
}

extension Conductor: VIMRegistrar {
    /// Registers a VIM under fresh ids and a fresh data key, and returns it once that is durable.
    public func register(_ vim: NewVIM, actor: Actor) async throws(CommandFailure) -> VIM {
        let id = VIMID(freshID())
        let dataKey = CredentialVault.DataKey()
        let configuration = VIMConfiguration(
            tenantID: vim.tenantID, type: vim.type, name: vim.name, description: vim.description,
            authURL: vim.authURL, project: vim.project,
            credentials: encrypted(vim.credentials, under: dataKey, of: id), placement: vim.placement,
            isDefault: vim.isDefault, extra: vim.extra.text, monitor: vim.extra.monitor)
        let wish = RegisterVIM(
            id: id, actionID: MonitorActionID(freshID()), configuration: configuration, actor: actor)
        return try await vaultGate.enter { () async throws(CommandFailure) in
            let key = VaultChange(key: id.value.bytes, value: keyring.current.wrap(dataKey, of: id))
            return shown(by: try await pipeline.submit(.register(wish), with: .vault([key])))
        }
    }

    /// Changes a VIM and returns it once that is durable.
    public func update(
        _ id: VIMID, expectedVersion: UInt32?, edit: VIMEdit, actor: Actor
    ) async throws(CommandFailure) -> VIM {
        var changes = VIMChanges()
        changes.name = edit.name
        changes.description = edit.description
        changes.authURL = edit.authURL
        changes.project = edit.project
        changes.placement = edit.placement
        changes.isDefault = edit.isDefault
        changes.extra = edit.extra
        var wish = UpdateVIM(
            id: id, expectedVersion: expectedVersion, changes: changes, actionID: MonitorActionID(freshID()),
            actor: actor)
        guard let credentials = edit.credentials else {
            return shown(by: try await pipeline.submit(.update(wish)))
        }
        return try await vaultGate.enter { () async throws(CommandFailure) in
            var enclosure: Enclosure?
            let dataKey: CredentialVault.DataKey
            do throws(CommandFailure) { dataKey = try self.dataKey(of: id) } catch {
                // Lost with its master key, or never there: what it opened is lost, too, so begin anew.
                dataKey = CredentialVault.DataKey()
                let wrapped = keyring.current.wrap(dataKey, of: id)
                enclosure = .vault([VaultChange(key: id.value.bytes, value: wrapped)])
            }
            wish.changes.credentials = encrypted(credentials, under: dataKey, of: id)
            return shown(by: try await pipeline.submit(.update(wish), with: enclosure))
        }
    }

    /// Deregisters a VIM, destroys its data key in the same commit, and returns it once that is durable.
    public func deregister(_ id: VIMID, actor: Actor) async throws(CommandFailure) -> VIM {
        let key = VaultChange(key: id.value.bytes, value: nil)
        let wish = DeregisterVIM(id: id, actor: actor)
        return try await vaultGate.enter { () async throws(CommandFailure) in
            shown(by: try await pipeline.submit(.deregister(wish), with: .vault([key])))
        }
    }

    /// The VIM's whole `auth_cred` in clear.
    public func credentials(of id: VIMID) async throws(CommandFailure) -> JSONText {
        guard let vim = read({ $0.vim(id) }), vim.isRegistered else { throw .refused(.vimNotFound(id)) }
        let dataKey = try dataKey(of: id)
        do throws(VaultFault) {
            return try keyring.current.decrypt(
                vim.configuration.credentials.ciphertext, under: dataKey, of: id)
        } catch { throw .notStored("the credentials of VIM \(id) cannot be opened: \(error.sentence)") }
    }

    private func encrypted(
        _ credentials: PlainCredentials, under dataKey: CredentialVault.DataKey, of id: VIMID
    ) -> StoredCredentials {
        StoredCredentials(
            masked: credentials.masked,
            ciphertext: keyring.current.encrypt(credentials.whole, under: dataKey, of: id))
    }

    private func shown(by outcome: Outcome) -> VIM {
        guard case .vim(let vim) = outcome else {
            preconditionFailure("a VIM's command answers with the VIM")
        }
        return vim
    }

    private func freshID() -> UniqueID {
        var random = SystemRandomNumberGenerator()
        return UniqueID(using: &random)
    }
}

extension Conductor: CredentialSource {
    /// The VIM's whole `auth_cred` in clear, for the wanted action only.
    public func credentials(of vimID: VIMID, for actionID: MonitorActionID) async -> JSONText? {
        let isWanted = read { table in
            table.monitorFacts(vimID).map { $0.isRegistered && $0.actionID == actionID } ?? false
        }
        return isWanted ? try? await credentials(of: vimID) : nil
    }
}

extension Conductor: AssignmentSource {
    /// What a VIM wants of its monitor action; nil if it is not registered.
    public func assignment(of vimID: VIMID) -> MonitorAssignment? {
        guard let vim = vim(vimID), vim.isRegistered else { return nil }
        return MonitorAssignment(vim)
    }

    /// Whether an action is the wanted one and has reported.
    public func hasReported(_ actionID: MonitorActionID, of vimID: VIMID) -> Bool {
        guard let vim = vim(vimID), vim.isRegistered else { return false }
        return vim.actionID == actionID && vim.reportedAt != nil
    }

    /// The wanted actions of all registered VIMs.
    public func wantedActions() -> [VIMID: MonitorActionID] {
        read { table in
            var actions: [VIMID: MonitorActionID] = [:]
            actions.reserveCapacity(table.registeredCount)
            table.forEachWatch { id, watch in actions[id] = watch.actionID }
            return actions
        }
    }
}

extension Conductor: RegistryReader {
    /// The VIM, also if it was deregistered; nil if there never was one.
    public func vim(_ id: VIMID) -> VIM? { read { $0.vim(id) } }
    /// All VIMs that are registered, in order of registration.
    public func registeredVIMs() -> [VIM] { read { $0.allVIMs.filter(\.isRegistered) } }
    /// All entries in order of position; of one VIM if it is named.
    public func history(of id: VIMID?) -> [HistoryEntry] { read { $0.history(of: id) } }
    /// The entry at a position; nil if there is none.
    public func historyEntry(at position: UInt64) -> HistoryEntry? { read { $0.historyEntry(at: position) } }
    /// What history does not tell any more; nil if nothing was dropped.
    public func droppedHistory() -> DroppedHistory? {
        // One entry of the data file, which is in memory; damage there is told by those who need it.
        (try? openLog?.droppedPart()).map {
            DroppedHistory(lastPosition: $0.lastPosition, time: Timestamp(microseconds: $0.time))
        }
    }
}

extension Timestamp {
    /// The machine's wall clock.
    public static var systemNow: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(time.tv_nsec) / 1_000)
    }
}
