import Backups
import Conductor
import EventLog
import Foundation
import Registry
import Samples
import Testing

/// What of a copy arrives, as a wire may carry it.
private enum Arrival {
    case file(String)
    case bytes([UInt8])
    case fileEnd(String)

    static func all(of directory: String) throws -> [Arrival] {
        let log = try EventLog(directory: directory, access: .read)
        var arrivals: [Arrival] = []
        try StreamedCopy(of: log).make { part in
            switch part {
            case .file(let name): arrivals.append(.file(name))
            case .bytes(let bytes): arrivals.append(.bytes(Array(bytes)))
            case .fileEnd(let sha256): arrivals.append(.fileEnd(sha256))
            }
        }
        return arrivals
    }

    func arrive(in copy: ArrivingCopy) throws {
        switch self {
        case .file(let name): try copy.beginFile(named: name)
        case .bytes(let bytes): try copy.take(bytes)
        case .fileEnd(let sha256): try copy.endFile(sha256: sha256)
        }
    }
}

@Suite("A copy that comes part by part")
struct ArrivingCopyTests {
    private func withArrivals(_ body: (_ data: String, _ target: String, [Arrival]) async throws -> Void)
        async throws
    {
        try await withTemporaryDirectory { directory in
            let data = try await makeLog(in: directory)
            try await body(data, directory + "/target", try Arrival.all(of: data))
        }
    }

    private func expectNothing(in target: String) throws {
        #expect(!FileManager.default.fileExists(atPath: target + "/events.lmdb"))
        #expect(!FileManager.default.fileExists(atPath: target + "/archive"))
    }

    @Test("Hot and cold, it takes an empty directory's place, with an identity of its own, and goes on")
    func whole() async throws {
        try await withArrivals { data, target, arrivals in
            let (head, identity) = try facts(of: data)
            do {
                let copy = try ArrivingCopy(into: target)
                try copy.begin()
                // What came of another one before is void.
                for arrival in arrivals.prefix(2) { try arrival.arrive(in: copy) }
                try copy.begin()
                for arrival in arrivals { try arrival.arrive(in: copy) }
                try copy.end()
                try expectNothing(in: target)
                let placed = try copy.place()
                #expect(placed.position == head.position && placed.eventCount == head.position)
            }
            let arrived = try facts(of: target)
            #expect(arrived.head == head)
            #expect(arrived.identity != identity)
            let kept = try FileManager.default.contentsOfDirectory(atPath: target).sorted()
            #expect(kept.filter { !$0.hasSuffix("lock") } == ["archive", "events.lmdb"])
            try FileManager.default.copyItem(atPath: data + "/master.key", toPath: target + "/master.key")
            #expect(try await names(in: target) == ["a", "b", "c"])
        }
    }

    @Test("A flipped bit is found in whatever file it is, and the directory stays without a log")
    func flipped() async throws {
        try await withArrivals { _, target, arrivals in
            var flippedCount = 0
            for (index, arrival) in arrivals.enumerated() {
                guard case .bytes(var bytes) = arrival else { continue }
                flippedCount += 1
                bytes[bytes.count / 2] ^= 4
                var altered = arrivals
                altered[index] = .bytes(bytes)
                let copy = try ArrivingCopy(into: target)
                try copy.begin()
                #expect(throws: BackupFault("a file of the copy was damaged on its way")) {
                    for arrival in altered { try arrival.arrive(in: copy) }
                }
                #expect(throws: BackupFault.self) { try copy.end() }
                #expect(throws: BackupFault("the copy is not whole")) { try copy.place() }
                try expectNothing(in: target)
            }
            #expect(flippedCount >= 2)
        }
    }

    @Test("Wherever it ends too early, nothing of it is opened, and the next writer takes it away")
    func cutOff() async throws {
        try await withArrivals { _, target, arrivals in
            for count in 0..<arrivals.count {
                do {
                    let copy = try ArrivingCopy(into: target)
                    try copy.begin()
                    for arrival in arrivals.prefix(count) { try arrival.arrive(in: copy) }
                    if count < 3 { #expect(throws: BackupFault.self) { try copy.end() } }
                }
                try expectNothing(in: target)
                #expect(FileManager.default.fileExists(atPath: target + "/restore.staged"))
                _ = try ArrivingCopy(into: target)
                #expect(!FileManager.default.fileExists(atPath: target + "/restore.staged"))
            }
        }
    }

    @Test("A segment that is missing is found before anything takes its place")
    func missingSegment() async throws {
        try await withArrivals { _, target, arrivals in
            let cold = try #require(arrivals.lastIndex { if case .file = $0 { true } else { false } })
            let copy = try ArrivingCopy(into: target)
            try copy.begin()
            for arrival in arrivals[..<cold] { try arrival.arrive(in: copy) }
            try copy.end()
            #expect(throws: BackupFault.self) { try copy.place() }
            try expectNothing(in: target)
        }
    }

    @Test(
        "Parts that are out of place are refused, and names that lead elsewhere",
        arguments: ["../events.lmdb", "archive/../x", "/etc/passwd", "archive/.x", "archive/", "x"])
    func misplaced(name: String) throws {
        try withTemporaryDirectory { directory in
            let copy = try ArrivingCopy(into: directory)
            try copy.begin()
            #expect(throws: BackupFault.self) { try copy.beginFile(named: name) }
            #expect(throws: BackupFault.self) { try copy.take([1]) }
            #expect(throws: BackupFault.self) { try copy.endFile(sha256: "") }
            try copy.beginFile(named: "events.lmdb")
            #expect(throws: BackupFault.self) { try copy.beginFile(named: "archive/a") }
            #expect(throws: BackupFault.self) { try copy.end() }
        }
    }
}
