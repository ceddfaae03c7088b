// Starts nothing: a node in this process follows a leader that the test plays, over loopback.
import Foundation
import Harness
import Identity
import Recording
import Registry
import Samples
import Testing

@testable import EventLog
@testable import HighAvailability

private let first = [UInt8](repeating: 1, count: 32)
private let second = [UInt8](repeating: 2, count: 32)
private let third = [UInt8](repeating: 3, count: 32)

private func fingerprint(_ key: [UInt8]) -> String { MasterKey(bytes: key)?.fingerprintText ?? "" }

/// A data key under a master key, as the vault has it.
private func wrapped(_ number: UInt64, under key: [UInt8]) throws -> VaultChange {
    let vault = CredentialVault(master: try #require(MasterKey(bytes: key)))
    return VaultChange(
        key: VIMID.sample(number).value.bytes,
        value: vault.wrap(CredentialVault.DataKey(), of: .sample(number)))
}

@Suite("The master key of a node that follows")
struct MasterKeyTests {
    @Test("It is the leader's: at first, after a rotation that it saw, and after one that it missed")
    func followed() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let data = directory + "/node"
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try register(1, under: first, by: &recorder)
            let leader = try PlayedLeader(
                recorder.log, epoch: 1, listen: ports[0], peer: ports[1], masterKey: first)
            try await withRunning({ try await leader.run() }) {
                let lines = LogLines()
                let node = try makeNode(data, listen: ports[1], peer: ports[0], lines: lines)
                try await withRunning({ try await node.run() }) {
                    try await eventually("it has everything") { node.position == recorder.log.head.position }
                    try expectVault(of: node, in: data, under: first)

                    leader.greet(with: first, next: second)
                    try rotate([1], to: second, by: &recorder)
                    try await eventually("it has the rotation, too") {
                        leader.ship()
                        return node.position == recorder.log.head.position
                    }
                    try expectVault(of: node, in: data, under: second)
                    #expect(lines.count("has another master key now") >= 1)
                    // What comes later in this session is under the key that followed.
                    try register(2, under: second, by: &recorder)
                    leader.ship()
                    try await eventually("it goes on") { node.position == recorder.log.head.position }
                    try expectVault(of: node, in: data, under: second)
                }
                // The one that it had first opened the vault, and is gone with it.
                let kept = try files(of: data).filter { $0.contains(".replaced-") }
                #expect(try kept.allSatisfy { try MasterKey(reading: "\(data)/\($0)")?.bytes != first })
            }
            try rotate([1, 2], to: third, by: &recorder)
            try register(3, under: third, by: &recorder)
            let later = try PlayedLeader(
                recorder.log, epoch: 2, listen: ports[0], peer: ports[1], masterKey: third)
            try await withRunning({ try await later.run() }) {
                let node = try makeNode(data, listen: ports[1], peer: ports[0], lines: LogLines())
                try await withRunning({ try await node.run() }) {
                    try await eventually("it has everything again") {
                        node.position == recorder.log.head.position
                    }
                    try expectVault(of: node, in: data, under: third)
                }
            }
        }
    }

    @Test("A rotation in the middle of a session interrupts nothing")
    func uninterrupted() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let data = directory + "/node"
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try register(1, under: first, by: &recorder)
            let leader = try PlayedLeader(
                recorder.log, epoch: 1, listen: ports[0], peer: ports[1], masterKey: first)
            let node = try makeNode(data, listen: ports[1], peer: ports[0], lines: LogLines())
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    try await eventually("it has everything") { node.position == recorder.log.head.position }
                    let connections = leader.connectionCount
                    for (count, (key, next)) in [(first, second), (second, third)].enumerated() {
                        leader.greetAnew(with: key, next: next)
                        try rotate([1], to: next, by: &recorder)
                        leader.ship()
                        try await eventually("it has rotation \(count)") {
                            node.position == recorder.log.head.position
                        }
                        try expectVault(of: node, in: data, under: next)
                    }
                    #expect(leader.connectionCount - connections == 2, "each greeting asks what to say once")
                    #expect(leader.lines.count("is gone") == 0 && node.trouble == nil)
                }
            }
        }
    }

    @Test("Data keys under a key that the leader has not said are not stored, until it has")
    func unsaid() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let data = directory + "/node"
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try register(1, under: first, by: &recorder)
            let leader = try PlayedLeader(
                recorder.log, epoch: 1, listen: ports[0], peer: ports[1], masterKey: first)
            let node = try makeNode(data, listen: ports[1], peer: ports[0], lines: LogLines())
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    let before = recorder.log.head.position
                    try await eventually("it has everything") { node.position == before }
                    try rotate([1], to: second, by: &recorder)
                    let portion = try recorder.log.travellingBatches(after: before, byteMax: 1 << 20)
                    let batch = try #require(portion.batches.first)
                    // As a leader ships what it has just gathered.
                    guard case .whole(let entries) = batch.vault else {
                        Issue.record("the first batch of a portion has the vault")
                        return
                    }
                    leader.ship(batch.with(.changes(entries)))
                    try await eventually("it says so") {
                        node.trouble?.contains(fingerprint(second)) == true
                    }
                    #expect(node.position == before)
                    try expectVault(of: node, in: data, under: first)
                    leader.greet(with: second)
                    try await eventually("it has it") { node.position == recorder.log.head.position }
                    try expectVault(of: node, in: data, under: second)
                    try await eventually("nothing is wrong") { node.trouble == nil }
                }
            }
        }
    }

    @Test("Where nobody is registered the key is taken over with whatever comes next")
    func empty() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let data = directory + "/node"
            let ports = try freePorts(count: 2)
            var recorder = try Recorder("\(directory)/leader")
            try recorder.run(.startEpoch(EpochStarted(epoch: 1, version: "1", host: "h", processID: 1)))
            try recorder.commit()
            let leader = try PlayedLeader(
                recorder.log, epoch: 1, listen: ports[0], peer: ports[1], masterKey: first)
            let node = try makeNode(data, listen: ports[1], peer: ports[0], lines: LogLines())
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    try await eventually("it has everything") { node.position == 1 }
                    #expect(try MasterKey(reading: data + "/master.key")?.bytes == first)
                    leader.greet(with: second)
                    try rotate([], to: second, by: &recorder)
                    try await eventually("it has the rotation") {
                        leader.ship()
                        return node.position == 2
                    }
                    #expect(try MasterKey(reading: data + "/master.key")?.bytes == second)
                }
            }
        }
    }

    @Test("A start finishes or undoes what a kill interrupted", arguments: [true, false])
    func interrupted(isStored: Bool) throws {
        try Samples.withTemporaryDirectory { directory in
            do {
                var recorder = try Recorder(directory)
                try register(1, under: first, by: &recorder)
                if isStored { try rotate([1], to: second, by: &recorder) }
            }
            try write(first, to: directory + "/master.key")
            try write(second, to: directory + "/master.key.next")
            let node = try makeNode(directory, listen: 1, peer: 2, lines: LogLines())
            let present = isStored ? second : first
            #expect(node.enclosure.present.masterKey == present)
            try expectVault(of: node, in: directory, under: present)
        }
    }

    @Test("A node that could not take the leader's key over is known by its greeting")
    func older() throws {
        let json = #"{"address":"a:1","masterKey":\#(first)}"#
        let old = try #require(PeerEnclosure(bytes: Array(json.utf8)))
        #expect(old.takesMasterKeys == nil && old.masterKeys.map(\.bytes) == [first])
        var own = PeerEnclosure(address: "b:1", masterKey: first)
        #expect(!ConnectedPeer(old, of: own).isDoubted)
        own.nextMasterKey = second
        #expect(ConnectedPeer(old, of: own).isDoubted)
        own = PeerEnclosure(address: "b:1", masterKey: second)
        #expect(ConnectedPeer(old, of: own).isDoubted)
        let present = try #require(
            PeerEnclosure(bytes: PeerEnclosure(address: "a:1", masterKey: first).bytes))
        #expect(!ConnectedPeer(present, of: own).isDoubted)
    }

    private func register(_ number: UInt64, under key: [UInt8], by recorder: inout Recorder) throws {
        try recorder.run(.sampleRegistration(number, name: "vim-\(number)"))
        recorder.vault = [try wrapped(number, under: key)]
        try recorder.commit()
    }

    private func rotate(_ numbers: [UInt64], to key: [UInt8], by recorder: inout Recorder) throws {
        try recorder.run(
            .noteVaultRotated(
                VaultRotated(
                    fromFingerprint: "", toFingerprint: fingerprint(key), dataKeyCount: UInt64(numbers.count),
                    unopenedCount: 0, actor: Actor())))
        recorder.vault = try numbers.map { try wrapped($0, under: key) }
        try recorder.commit()
    }

    /// All that a node's vault has opens with the key in its file, and no other key is under way.
    private func expectVault(
        of node: HighAvailability.RunningNode, in directory: String, under key: [UInt8]
    ) throws {
        #expect(try MasterKey(reading: directory + "/master.key")?.bytes == key)
        #expect(try !files(of: directory).contains("master.key.next"))
        let entries = try node.log.vaultEntries().compactMap(\.value)
        #expect(!entries.isEmpty && CredentialVault.fingerprintTexts(of: entries) == [fingerprint(key)])
    }

    private func files(of directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory)
    }

    private func write(_ key: [UInt8], to path: String) throws {
        let text = key.map { $0 < 16 ? "0\(String($0, radix: 16))" : String($0, radix: 16) }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        chmod(path, 0o600)
    }
}
