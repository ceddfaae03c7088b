import Samples
import Testing

@testable import Registry

/// An event and the file that holds its payload as an earlier version wrote it.
struct Golden: Sendable, CustomTestStringConvertible {
    var file: String
    var format: UInt8
    var event: Event

    init(_ file: String, format: UInt8 = 1, _ event: Event) {
        self.file = file
        self.format = format
        self.event = event
    }

    var testDescription: String { file }

    private static let actor = Actor(
        userID: "u-1", userName: "ada", projectID: "p-1", requestID: "req-1", remoteAddress: "192.0.2.7")
    private static let credentials = StoredCredentials(
        masked: JSONText(#"{"password":"***"}"#), ciphertext: [1, 2, 3, 4])
    private static let monitor = MonitorSettings(
        probe: .tcp, intervalMilliseconds: 5_000, timeoutMilliseconds: 1_500, failureThreshold: 3,
        successThreshold: 0)
    private static let extra = JSONText(#"{"monitor":{"probe":"tcp"}}"#)

    private static var changes: VIMChanges {
        var changes = VIMChanges()
        changes.name = "new"
        changes.description = ""
        changes.authURL = "http://192.0.2.2"
        changes.project = .empty
        changes.credentials = credentials
        changes.placement = JSONText(#"{"regions":[]}"#)
        changes.isDefault = false
        changes.extra = .init(text: extra, monitor: monitor)
        return changes
    }

    /// One of every type and format, and of those whose parts may be missing also one without.
    static let all: [Golden] = [
        Golden(
            "vim.registered-1",
            .vimRegistered(
                VIMRegistered(
                    id: .sample(7),
                    configuration: VIMConfiguration(
                        tenantID: "tenant", type: .kubernetes, name: "edge-☃", description: "the first",
                        authURL: "https://192.0.2.1:6443", project: JSONText(#"{"name":"ns"}"#),
                        credentials: credentials, placement: JSONText(#"{"regions":["r1"]}"#),
                        isDefault: true,
                        extra: extra, monitor: monitor),
                    actor: actor))),
        Golden("vim.updated-1", .vimUpdated(VIMUpdated(changes: changes, actor: actor))),
        Golden(
            "vim.updated-1-nothing",
            .vimUpdated(VIMUpdated(changes: VIMChanges(), actor: Actor(userName: "ada")))),
        Golden("vim.deregistered-1", .vimDeregistered(VIMDeregistered(actor: actor))),
        Golden(
            "vim.status_reported-1",
            .vimStatusReported(
                VIMStatusReported(
                    actionID: .sample(1), status: .unreachable, verdict: .accepted,
                    finding: ProbeFinding(.timedOut, detail: 2, roundTripMicroseconds: 1_234_567)))),
        Golden(
            "vim.status_reported-2", format: 2,
            .vimStatusReported(
                VIMStatusReported(
                    actionID: .sample(2), status: .reachable, verdict: .badAction,
                    finding: ProbeFinding(.answered, detail: 200, roundTripMicroseconds: 77),
                    unknownVIM: .sample(99)))),
        Golden(
            "vim.monitor_assigned-1",
            .vimMonitorAssigned(
                VIMMonitorAssigned(
                    actionID: .sample(3), reason: .monitorLost, detail: "no report for 180 s",
                    actor: .conductor))),
        Golden(
            "vim.monitor_assigned-1-handed_back",
            .vimMonitorAssigned(
                VIMMonitorAssigned(
                    actionID: .sample(4), reason: .handedBack, detail: "edge-1 is stopping",
                    actor: .conductor))),
        Golden(
            "vim.monitor_launched-1",
            .vimMonitorLaunched(VIMMonitorNoted(actionID: .sample(3), backend: "embedded"))),
        Golden(
            "vim.monitor_stopped-1",
            .vimMonitorStopped(
                VIMMonitorNoted(actionID: .sample(3), backend: "embedded", reason: "deregistered"))),
        Golden("vim.credentials_shredded-1", .vimCredentialsShredded),
        Golden(
            "conductor.command_refused-1",
            .commandRefused(
                CommandRefused(
                    command: "register", refusal: "name_taken", sentence: "a VIM named 'x' is taken",
                    vimID: nil,
                    actor: actor))),
        Golden(
            "conductor.command_refused-1-vim",
            .commandRefused(
                CommandRefused(
                    command: "update", refusal: "vim_not_found", sentence: "no", vimID: .sample(8),
                    actor: actor))),
        Golden(
            "conductor.epoch_started-1",
            .epochStarted(EpochStarted(epoch: 300, version: "1.0", host: "host-1", processID: 4_242))),
        Golden(
            "log.archived-1",
            .logArchived(
                LogArchived(
                    firstPosition: 1, lastPosition: 300, file: "a.segment",
                    lastSeal: Array(repeating: 0xAB, count: 32), batchByteCount: 36_000, fileByteCount: 800,
                    actor: actor))),
        Golden(
            "log.dropped-1",
            .logDropped(
                LogDropped(
                    firstPosition: 1, lastPosition: 300, segmentCount: 2, fileByteCount: 800,
                    lastSeal: Array(repeating: 0xAB, count: 32), firstSeal: Array(repeating: 0xCD, count: 32),
                    baseDigest: Array(repeating: 0xEF, count: 32), actor: actor))),
        Golden(
            "vault.rotated-1",
            .vaultRotated(
                VaultRotated(
                    fromFingerprint: "0123456789abcdef", toFingerprint: "fedcba9876543210", dataKeyCount: 300,
                    unopenedCount: 1, actor: actor))),
    ]
}

@Suite("Stored payloads")
struct PayloadTests {
    @Test(
        "Every event is stored as it always was, and an old payload reads as the event", arguments: Golden.all
    )
    func golden(_ golden: Golden) throws {
        let bytes = try goldenBytes(golden.file)
        let stored = golden.event.withPayload { format, payload in (format, Array(payload)) }
        #expect(stored.0 == golden.format)
        #expect(stored.1 == bytes)
        #expect(try decode(golden.event.type.rawValue, golden.format, bytes) == golden.event)
        #expect(golden.file.hasPrefix(golden.event.type.name + "-\(golden.format)"))
    }

    @Test("Every event type has a golden file, a number of its own and a name that finds it")
    func complete() {
        #expect(Set(Golden.all.map(\.event.type)) == Set(EventType.allCases))
        #expect(Set(EventType.allCases.map(\.name)).count == EventType.allCases.count)
        for type in EventType.allCases { #expect(EventType(name: type.name) == type) }
        #expect(EventType(name: "vim.unheard_of") == nil)
        #expect(EventType.allCases.map(\.rawValue) == Array(1...13))
    }

    @Test("An unknown type or format is a fault that names it")
    func unknown() throws {
        for type in [0, 200, 201, 255, .max] as [UInt16] {
            #expect(throws: PayloadFault.self) { try decode(type, 1, []) }
        }
        for golden in Golden.all {
            for format in [0, golden.event.type == .vimStatusReported ? 3 : 2, 255] as [UInt8] {
                let fault = #expect(throws: PayloadFault.self) {
                    try decode(golden.event.type.rawValue, format, try goldenBytes(golden.file))
                }
                #expect(fault?.sentence.contains("\(format)") == true)
            }
        }
    }

    @Test("Status reports of any other length, status or verdict are faults")
    func brokenReports() throws {
        for (file, format) in [("vim.status_reported-1", 1), ("vim.status_reported-2", 2)]
            as [(String, UInt8)]
        {
            let bytes = try goldenBytes(file)
            for count in 0...64 where count != bytes.count {
                let other = Array((bytes + bytes + bytes).prefix(count))
                #expect(throws: PayloadFault.self) { try decode(4, format, other) }
            }
            for (offset, value) in [(16, 0), (16, 3), (16, 255), (17, 0), (17, 3), (17, 255)] {
                var broken = bytes
                broken[offset] = UInt8(value)
                #expect(throws: PayloadFault.self) { try decode(4, format, broken) }
            }
        }
    }

    @Test("Ids that are not sixteen bytes, and words and reasons never written, are faults")
    func brokenMessages() {
        let cases: [(UInt16, [UInt8])] = [
            (1, []), (1, [0x12, 1, 0x78]), (5, [0x10, 3]), (5, [0x0A, 1, 7, 0x10, 1]),
            (5, [0x0A, 16] + Array(repeating: 1, count: 16) + [0x10, 9]),
            (5, [0x0A, 16] + Array(repeating: 1, count: 16) + [0x10, 0x81, 2]), (6, []), (7, [0x0A, 1, 1]),
            (9, [0x22, 2, 1, 1]), (10, [0x08]), (3, [0x0A, 5, 1]), (2, [0x0A, 2, 0xFF, 0xFE]),
        ]
        for (type, bytes) in cases {
            #expect(throws: PayloadFault.self, "\(type) \(bytes)") { try decode(type, 1, bytes) }
        }
    }

    @Test("Random bytes and damaged payloads never trap, and what decodes is stored and read the same again")
    func noise() throws {
        var random = SeededGenerator(seed: runSeed)
        var decodedCount = 0
        func feed(_ type: UInt16, _ format: UInt8, _ bytes: [UInt8]) throws {
            guard let event = try? decode(type, format, bytes) else { return }
            decodedCount += 1
            let stored = event.withPayload { format, payload in (format, Array(payload)) }
            #expect(try decode(type, stored.0, stored.1) == event, "SEED=\(runSeed)")
            _ = event.fields
        }
        for _ in 0..<6_000 {
            let bytes = random.bytes(Int.random(in: 0...60, using: &random))
            try feed(.random(in: 0...12, using: &random), .random(in: 0...3, using: &random), bytes)
        }
        let goldens = try Golden.all.map { ($0, try goldenBytes($0.file)) }
        for _ in 0..<6_000 {
            guard var (golden, bytes) = goldens.randomElement(using: &random), !bytes.isEmpty else {
                continue
            }
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8(
                    truncatingIfNeeded: random.next())
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            golden.format = max(1, golden.format)
            try feed(golden.event.type.rawValue, golden.format, bytes)
        }
        #expect(decodedCount > 500)
    }

    @Test("Random events of every kind survive storing, awkward texts included")
    func roundTrip() throws {
        var random = SeededGenerator(seed: runSeed)
        let texts = [
            "", "a", "\u{0}", "😀🇩🇪", "\u{202E}rtl", "e\u{301}", String(repeating: "x", count: 70_000),
        ]
        func text() -> String { texts[Int.random(in: texts.indices, using: &random)] }
        for _ in 0..<300 {
            var changes = VIMChanges()
            if Bool.random(using: &random) { changes.name = text() }
            if Bool.random(using: &random) { changes.description = text() }
            if Bool.random(using: &random) { changes.authURL = text() }
            if Bool.random(using: &random) { changes.project = JSONText(text()) }
            if Bool.random(using: &random) { changes.placement = JSONText(text()) }
            if Bool.random(using: &random) { changes.isDefault = Bool.random(using: &random) }
            if Bool.random(using: &random) {
                changes.credentials = StoredCredentials(
                    masked: JSONText(text()), ciphertext: random.bytes(Int.random(in: 0...40, using: &random))
                )
            }
            if Bool.random(using: &random) {
                changes.extra = .init(
                    text: JSONText(text()),
                    monitor: MonitorSettings(
                        probe: ProbeKind.allCases.randomElement(using: &random), timeoutMilliseconds: .max))
            }
            let event = Event.vimUpdated(VIMUpdated(changes: changes, actor: Actor(userName: text())))
            let stored = event.withPayload { _, payload in Array(payload) }
            #expect(try decode(2, 1, stored) == event, "SEED=\(runSeed)")
        }
    }

    @Test("What replay reads of a report in place is what the report says; anything else it leaves alone")
    func claims() throws {
        for status in [VIMStatus.reachable, .unreachable] {
            for verdict in ReportVerdict.allCases {
                for reason in ProbeFinding.Reason.allCases {
                    let report = VIMStatusReported(
                        actionID: MonitorActionID(UniqueID(high: 1, low: 2)), status: status,
                        verdict: verdict,
                        finding: ProbeFinding(reason, detail: 503, roundTripMicroseconds: 70_000))
                    let payload = Event.vimStatusReported(report).withPayload { Array($1) }
                    let read = try #require(claim(payload))
                    #expect(read.status == report.status && read.finding == report.finding)
                    #expect(read.isAccepted == (verdict == .accepted))
                    #expect(claim(payload, format: 2) == nil && claim(payload.dropLast()) == nil)
                    for (offset, byte) in [(16, 0), (16, 3), (17, 0), (17, 3)] as [(Int, UInt8)] {
                        var altered = payload
                        altered[offset] = byte
                        #expect(claim(altered) == nil)
                    }
                }
            }
        }
    }

    private func claim(_ payload: [UInt8], format: UInt8 = 1) -> StatusClaim? {
        payload.withUnsafeBytes { StatusClaim(format: format, payload: $0) }
    }

    @Test("No shown field holds the ciphertext, and secrets are shown masked")
    func fields() {
        for golden in Golden.all {
            for field in golden.event.fields where field.name == "auth_cred" {
                #expect(field.value == .object(JSONText(#"{"password":"***"}"#)))
            }
        }
        let names = Golden.all.first { $0.event.type == .vimStatusReported }?.event.fields.map(\.name)
        #expect(names?.prefix(4) == ["status", "verdict", "action_id", "reason"])
    }

    private func decode(_ type: UInt16, _ format: UInt8, _ bytes: [UInt8]) throws -> Event {
        try bytes.withUnsafeBytes { try Event(type: type, format: format, payload: $0) }
    }
}
