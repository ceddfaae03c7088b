// Starts nothing: a node in this process follows a leader that the test plays, over loopback.
import EventLog
import Foundation
import Harness
import Logging
import PairProtocol
import Projections
import Recording
import Registry
import Samples
import Synchronization
import Testing

@testable import HighAvailability

/// What a leader of a later version may write.
enum LaterWriting: CaseIterable, Sendable {
    case eventType
    case payloadFormat
    case meaning
    case batchFormat
    case travelFormat

    func write(to recorder: inout Recorder) throws {
        // Something that is understood comes first in the same batch.
        try recorder.run(report(1, action: 1, .unreachable))
        switch self {
        case .eventType: recorder.smuggle(type: 99, stream: 1, payload: [1, 2, 3])
        case .payloadFormat: recorder.smuggle(type: 5, format: 2, stream: 1, payload: [])
        case .meaning:
            // The status 9, which there is not yet.
            var payload = [UInt8](repeating: 1, count: 24)
            payload[16] = 9
            recorder.smuggle(type: 4, stream: 1, payload: payload)
        case .batchFormat, .travelFormat: break
        }
        try recorder.commit()
    }

    /// A bit in a place that tells a version.
    func alter(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        switch self {
        case .batchFormat: bytes[24] = 2
        case .travelFormat: bytes[0] = 2
        case .eventType, .payloadFormat, .meaning: break
        }
        return bytes
    }

    var words: String {
        switch self {
        case .eventType: "event type 99 is unknown to this version, at position 4"
        case .payloadFormat: "vim.monitor_assigned has format 2, unknown to this version, at position 4"
        case .meaning: "vim.status_reported has the unknown status 9, at position 4"
        case .batchFormat, .travelFormat: "format 2 of batches, the newest known is 1"
        }
    }
}

@Suite("A node whose leader is of a later version")
struct LaterVersionTests {
    @Test(
        "What it does not know it does not store, and says so once; another leader it follows",
        arguments: LaterWriting.allCases)
    func refused(_ writing: LaterWriting) async throws {
        try await Harness.withTemporaryDirectory { directory in
            try await refuse(writing, in: directory)
            // What it has it can read again; in a copy, since the ended task may know the node for a moment.
            try FileManager.default.copyItem(atPath: "\(directory)/node", toPath: "\(directory)/again")
            let again = try EventLog(directory: "\(directory)/again", access: .read)
            let table = try Replay(of: again, verifyingSeals: true).table
            #expect(table.position == 3 && table.vim(.sample(1))?.status == .reachable)
        }
    }

    private func refuse(_ writing: LaterWriting, in directory: String) async throws {
        let ports = try freePorts(count: 2)
        var recorder = try makeRecorder("\(directory)/leader")
        let isAltering = Atomic<Bool>(false)
        let leader = try PlayedLeader(recorder.log, epoch: 1, listen: ports[0], peer: ports[1]) {
            isAltering.load(ordering: .relaxed) ? writing.alter($0) : $0
        }
        let lines = LogLines(level: .info)
        let node = try makeNode("\(directory)/node", listen: ports[1], peer: ports[0], lines: lines)
        try await withRunning({ try await node.run() }) {
            try await withRunning({ try await leader.run() }) {
                try await eventually("it stores what it knows") { node.position == 2 }
                isAltering.store(true, ordering: .relaxed)
                try writing.write(to: &recorder)
                leader.ship()
                try await eventually("the leader hears why") {
                    leader.lines.count("upgrade") > 0
                }
                // However often they try, there is nothing more to say.
                try await tries(5, of: leader)
                let (own, leaders) = (ofThePeer(lines), ofThePeer(leader.lines))
                try await tries(5, of: leader)
                #expect(ofThePeer(lines).dropFirst(own.count) == [])
                #expect(ofThePeer(leader.lines).dropFirst(leaders.count) == [])
                #expect(lines.count("the log fails the pair") == 1, "\(lines.all)")
                let trouble = try #require(node.trouble)
                #expect(trouble.contains("(version 1.1) does not know what leader (version 9.9) writes"))
                #expect(trouble.contains(writing.words), "\(trouble)")
                #expect(leader.lines.all.contains { $0.contains(writing.words) })
                #expect(node.position == 2)
            }
            // Callers are still handed to the leader.
            #expect(node.lastPeer.withLock { $0?.address } == "127.0.0.1:1")

            // A log of the same history that goes on in words that it knows.
            var other = try makeRecorder("\(directory)/other")
            try other.run(report(1, action: 1, .reachable))
            try other.commit()
            let next = try PlayedLeader(other.log, epoch: 2, listen: ports[0], peer: ports[1])
            try await withRunning({ try await next.run() }) {
                try await eventually("it follows that") { node.position == 3 }
                try await eventually("nothing is wrong") { node.trouble == nil }
            }
        }
    }

    /// Of etcd, which is not there, a node tells in its own time.
    private func ofThePeer(_ lines: LogLines) -> [String] { lines.all.filter { !$0.contains("etcd") } }

    @Test("What was damaged on its way is asked for again, after a while")
    func damaged() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let ports = try freePorts(count: 2)
            let recorder = try makeRecorder("\(directory)/leader")
            let isFirst = Atomic<Bool>(true)
            let leader = try PlayedLeader(recorder.log, epoch: 1, listen: ports[0], peer: ports[1]) { bytes in
                guard isFirst.exchange(false, ordering: .relaxed) else { return bytes }
                var bytes = bytes
                bytes[100] ^= 1
                return bytes
            }
            let lines = LogLines(level: .info)
            let node = try makeNode("\(directory)/node", listen: ports[1], peer: ports[0], lines: lines)
            try await withRunning({ try await node.run() }) {
                try await withRunning({ try await leader.run() }) {
                    try await eventually("the leader hears why") { leader.lines.count("damaged") > 0 }
                    try await eventually("it comes whole") { node.position == 2 }
                    try await eventually("nothing is wrong") { node.trouble == nil }
                }
            }
            #expect(lines.count("does for the pair what it should again") == 1, "\(lines.all)")
        }
    }

    @Test("Words of later versions are passed over where they may be, and refused where not")
    func words() async throws {
        let enclosure = try JSONSerialization.data(
            withJSONObject: ["address": "a:1", "masterKey": [1, 2], "later": ["x": 1]])
        #expect(PeerEnclosure(bytes: Array(enclosure))?.address == "a:1")

        try await Harness.withTemporaryDirectory { directory in
            let memories: [([String: Any], String?)] = [
                (["pair": "p", "cluster": 1, "revision": 2, "insync": 3, "later": 4], nil),
                (["pair": "q", "cluster": 1, "revision": 2, "insync": 3], "belongs to the pair 'q'"),
                (["version": 2, "pair": "p", "cluster": 1, "revision": 2, "insync": 3], "start a newer one"),
                (["pair": "p", "seen": "5@2"], "start a newer one"),
            ]
            for (memory, words) in memories {
                let log = try EventLog(directory: directory, access: .write)
                try log.store(pairMemory: Array(try JSONSerialization.data(withJSONObject: memory)))
                let read = Result { () throws(PairFault) in try PairMemory.read(from: log, of: "p") }
                switch read {
                case .success(let known): #expect(words == nil && known?.insync == 3)
                case .failure(let fault): #expect(words.map(fault.sentence.contains) == true, "\(fault)")
                }
            }
        }
    }

    @Test("That a log stood alone is remembered of that log, not of a copy, and not by a version before this")
    func alone() async throws {
        try await Harness.withTemporaryDirectory { directory in
            let log = try EventLog(directory: directory + "/a", access: .write)
            let copy = try EventLog(directory: directory + "/b", access: .write)
            for isAlone in [true, false] {
                let memory = EtcdMemory(
                    revision: EtcdRevision(cluster: 1, number: 5), insync: 3, isAlone: isAlone)
                let bytes = PairMemory(pair: "p", memory, of: log).bytes
                for log in [log, copy] { try log.store(pairMemory: bytes) }
                #expect(try PairMemory.read(from: log, of: "p") == memory)
                #expect(try PairMemory.read(from: copy, of: "p")?.isAlone == false)
            }
            let former = ["pair": "p", "cluster": 1, "revision": 5, "insync": 3] as [String: Any]
            try log.store(pairMemory: Array(try JSONSerialization.data(withJSONObject: former)))
            #expect(try PairMemory.read(from: log, of: "p")?.isAlone == false)
        }
    }

    @Test("A node does not start on a log that a later version wrote on, and says which to run")
    func start() async throws {
        try await Harness.withTemporaryDirectory { directory in
            do {
                var recorder = try makeRecorder("\(directory)/node")
                try LaterWriting.eventType.write(to: &recorder)
            }
            let fault = #expect(throws: PairFault.self) {
                try makeNode("\(directory)/node", listen: 1, peer: 2, lines: LogLines(level: .info))
            }
            #expect(
                fault?.sentence.contains("at position 4 what this version does not know") == true
                    && fault?.sentence.contains("run the version that wrote it") == true, "\(fault as Any)")
        }
    }

    /// A log in which one VIM is registered: always the same one.
    private func makeRecorder(_ directory: String) throws -> Recorder {
        var recorder = try Recorder(directory)
        try recorder.run(.sampleRegistration(1, name: "a"))
        try recorder.commit()
        return recorder
    }

    private func tries(_ count: Int, of leader: PlayedLeader) async throws {
        let before = leader.connectionCount
        try await eventually("they try again") { leader.connectionCount >= before + count }
    }
}
