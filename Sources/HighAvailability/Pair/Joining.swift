import Backups
public import Conductor
import EtcdClient
import EventLog
import Identity
public import Logging
import PairEtcd
import PairProtocol
import PairWire
import Synchronization
import Threads

#if canImport(Glibc)
    import Glibc
#endif

/// The first start of a node that joins a pair: what the other node has in its files it copies before it
/// follows.
///
/// Only a log without events is replaced by a copy, and none that `insync` names. The node can do nothing for
/// the pair before: it may not lead, so it waits for the other one as long as it takes. A copy that is whole
/// and verified takes the log's place under an identity of its own, in one step; whatever stops it before
/// leaves the node as empty as it was.
public final class Joining: Sendable {
    private let configuration: NodeConfiguration
    private let options: Conductor.Options
    private let settings: PairSettings
    private let logger: Logger
    private let peer = Mutex<PeerEnclosure?>(nil)
    private let progress = Mutex<CopyProgress?>(nil)

    /// A node's, which is not open yet.
    public init(_ configuration: NodeConfiguration, _ options: Conductor.Options, logger: Logger) {
        (self.configuration, self.options, self.logger) = (configuration, options, logger)
        settings = PairSettings(lease: configuration.lease)
    }

    /// Where the other node's API answers, once it has said so.
    public var peerAddress: String? { peer.withLock { $0?.address } }

    /// Copies the other node's log if this one has no events and the other one brings a copy; when it
    /// returns the log can be opened.
    ///
    /// - Throws: ``PairFault``, or `CancellationError`.
    public func run() async throws {
        guard case .empty(let identity) = ownLog, try await isPairOfOthers(identity) else { return }
        logger.notice("this node has no events: it waits for the other one, which may bring a copy")
        while try await !copy() { try await Task.sleep(for: PeerRefusal.pause) }
    }

    // MARK: Whether a copy is wanted

    private enum OwnLog {
        /// It has no events; its identity, if there is a log at all.
        case empty(LogIdentity?)
        /// It has some, or it cannot be read, which whoever opens it will tell.
        case other
    }

    /// Whether this node's log has no events, so that ``run()`` may have something to do.
    public var isEmpty: Bool {
        if case .empty = ownLog { true } else { false }
    }

    /// A log without events is smaller than this.
    private static let emptyByteMax = 1 << 20

    private var ownLog: OwnLog {
        let directory = options.directory
        let lock: DirectoryLock
        do throws(EventLogError) {
            lock = try DirectoryLock(making: directory)
            try RestoredLog.settle(in: directory)
        } catch { return .other }
        defer { withExtendedLifetime(lock) {} }
        guard RestoredLog.holdsLog(directory) else { return .empty(nil) }
        var facts = stat()
        guard stat(directory + "/events.lmdb", &facts) == 0, facts.st_size < Joining.emptyByteMax,
            let log = try? EventLog(directory: directory, access: .read, checking: .trees),
            log.head.position == 0
        else { return .other }
        return .empty(LogIdentity(log.identity))
    }

    /// Whether the pair was founded, and without this log; waits for etcd.
    private func isPairOfOthers(_ identity: LogIdentity?) async throws -> Bool {
        var access = configuration.etcd
        access.timeout = settings.etcdPatience
        let client: EtcdClient
        do throws(EtcdFault) { client = try EtcdClient(access) } catch { throw PairFault(error.description) }
        do {
            let snapshot = try await snapshot(client)
            await client.shutdown()
            guard let insync = snapshot.insync else { return false }
            return !(identity.map { insync.members.contains($0) } ?? false)
        } catch {
            await client.shutdown()
            throw error
        }
    }

    private func snapshot(_ client: EtcdClient) async throws -> EtcdSnapshot {
        let keys: PairKeys
        do throws(PairEtcdFault) { keys = try PairKeys(client, pair: configuration.pair) } catch {
            throw PairFault(error.description)
        }
        var isTold = false
        while true {
            do throws(PairEtcdFault) { return try await keys.snapshot() } catch {
                if !isTold {
                    logger.warning(
                        "etcd does not answer: whether there is a pair to join is not known",
                        metadata: ["reason": "\(error)"])
                }
                isTold = true
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    // MARK: The copy

    /// True if a copy is in place, or if the other node brings none.
    private func copy() async throws -> Bool {
        let arriving: ArrivingCopy
        let receiver: CopyReceiver
        do throws(BackupFault) { arriving = try ArrivingCopy(into: options.directory) } catch {
            throw PairFault(error.sentence)
        }
        // Whoever opens the log next needs the lock, whatever else may still know of the copy.
        defer { arriving.release() }
        do throws(PairConfigurationError) {
            receiver = try CopyReceiver(configuration.wire, greeting: greeting, logger: logger)
        } catch { throw PairFault(error.description) }
        let outcome: CopyReceiver.Outcome
        do {
            outcome = try await receiver.run(canBring: canBring) { [self] part in
                do throws(BackupFault) { try take(part, arriving) } catch {
                    throw PairFault(error.sentence)
                }
            }
        } catch {
            arriving.discard()
            throw (error as? PairConfigurationError).map { PairFault($0.description) } ?? error
        }
        guard case .whole = outcome else {
            arriving.discard()
            return true
        }
        do throws(PairFault) {
            try await place(arriving)
            return true
        } catch {
            arriving.discard()
            logger.error(
                "the copy of the other node's log cannot be used", metadata: ["reason": "\(error.sentence)"])
            return false
        }
    }

    private var greeting: PairGreeting {
        var enclosure = PeerEnclosure(address: configuration.address, masterKey: [])
        enclosure.wantsCopy = true
        return PairGreeting(
            pairName: configuration.pair,
            // Of a log that there is not: whoever greets has one.
            identity: LogIdentity(bytes: SIMD2(.random(in: 0 ... .max), .random(in: 0 ... .max))),
            logFormat: UInt32(Format.version), programVersion: options.version,
            hostName: Conductor.hostName, enclosure: enclosure.bytes)
    }

    private func canBring(_ greeting: PairGreeting) -> Bool {
        guard let enclosure = PeerEnclosure(bytes: greeting.enclosure), enclosure.bringsCopy == true else {
            return false
        }
        peer.withLock { $0 = enclosure }
        return true
    }

    private func take(_ part: CopyPart, _ arriving: ArrivingCopy) throws(BackupFault) {
        let now = RunningNode.now
        switch part {
        case .begin(let byteCount):
            try arriving.begin()
            let begun = CopyProgress(of: byteCount, at: now)
            progress.withLock { $0 = begun }
            tell(begun.firstLine)
        case .file(let name): try arriving.beginFile(named: name)
        case .bytes(let bytes):
            try arriving.take(bytes)
            if let line = progress.withLock({ $0?.took(bytes.count, at: now) }) { tell(line) }
        case .fileEnd(let sha256): try arriving.endFile(sha256: sha256)
        case .end:
            try arriving.end()
            if let line = progress.withLock({ $0?.end(at: now) }) { tell(line) }
        }
    }

    private func tell(_ line: CopyProgress.Line) {
        var metadata: Logger.Metadata = [
            "bytes": "\(line.byteCount)", "of": "\(line.total)", "percent": "\(line.percent)",
        ]
        if let rate = line.bytesPerSecond { metadata["megabytes_per_second"] = "\(rate / 1_000_000)" }
        logger.info("copies the other node's log", metadata: metadata)
    }

    /// Its data keys are wrapped under the other node's master key, which comes first: a log is never there
    /// without the key that opens it.
    private func place(_ arriving: ArrivingCopy) async throws(PairFault) {
        let file = MasterKeyFile(options.masterKeyFile ?? options.directory + "/master.key")
        try MasterKeyAdoption(file: file, logger: logger).adopt(from: peer.withLock { $0 })
        let start = RunningNode.now
        let result = await withCheckedContinuation { continuation in
            DedicatedThread(name: "vedette-copy", yields: true) {
                continuation.resume(
                    returning: Result { () throws(BackupFault) in try arriving.place() })
            }.detach()
        }
        do throws(BackupFault) {
            let placed = try result.get()
            logger.notice(
                "the copy of the other node's log is in place",
                metadata: [
                    "position": "\(placed.position)", "events_verified": "\(placed.eventCount)",
                    "log": "\(placed.identity)", "verified_in": "\(RunningNode.now - start)",
                ])
        } catch { throw PairFault(error.sentence) }
    }
}

extension RunningNode {
    /// Opens the log of a directory as a node's, after its first start has copied what there was to copy.
    ///
    /// - Throws: ``PairFault`` with one sentence that says what to do, or `CancellationError`.
    public static func joining(
        _ configuration: NodeConfiguration, _ options: Conductor.Options, logger: Logger
    ) async throws -> RunningNode {
        try await Joining(configuration, options, logger: logger).run()
        return try RunningNode(opening: configuration, options, logger: logger)
    }
}
