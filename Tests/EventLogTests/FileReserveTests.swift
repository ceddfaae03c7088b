import Foundation
import Samples
import Testing

@testable import EventLog

@Suite("Zeros behind the last used page")
struct FileReserveTests {
    private func size(of path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    }

    @Test("Small commits fill pages that are there: the file's length changes once in many of them")
    func smallCommits() throws {
        try withFreshLog { log in
            var sizes: Set<Int> = []
            let batch = (0..<64).map { Said(payload: [UInt8](repeating: UInt8($0), count: 24)) }
            let before = log.usedByteCount
            for _ in 0..<200 {
                try log.append(batch)
                let size = try size(of: log.path)
                sizes.insert(size)
                #expect(size - log.usedByteCount >= FileReserve.byteCount / 2)
                #expect(size - log.usedByteCount < FileReserve.byteCount * 2)
            }
            let growth = log.usedByteCount - before
            #expect(growth > 4 * FileReserve.byteCount / 2)
            #expect(sizes.count <= growth / (FileReserve.byteCount / 2) + 1)
            #expect(try log.events() == (0..<200).flatMap { _ in batch })
            try log.checkPages()
        }
    }

    @Test("What is stored is found behind zeros that a crash or an earlier writer left")
    func reopened() throws {
        try withTemporaryDirectory { directory in
            var said: [Said] = []
            for round in 0..<5 {
                try withLog(in: directory) { log in
                    for number in 0..<3 {
                        said.append(Said(payload: [UInt8](repeating: UInt8(round), count: 2_000 * number)))
                        try log.append([said[said.count - 1]])
                    }
                }
                // Any number of them, pages or not.
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: directory + "/events.lmdb"))
                try file.seekToEnd()
                try file.write(contentsOf: Data(count: round * 5_000))
                try file.close()
            }
            try withLog(in: directory) { log in
                #expect(try log.events() == said)
                try log.checkPages()
            }
        }
    }

    @Test("Large commits are not written twice")
    func largeCommits() throws {
        try withFreshLog { log in
            let large = Said(payload: [UInt8](repeating: 1, count: 1 << 20))
            for _ in 0..<3 {
                try log.append([large])
                #expect(try size(of: log.path) == log.usedByteCount)
            }
            try log.append([Said(payload: [UInt8](repeating: 1, count: 5_000))])
            #expect(try size(of: log.path) > log.usedByteCount)
            #expect(try log.events().count == 4)
        }
    }

    @Test("Zeros come behind the end that the file has by then, never upon what lies there")
    func appendsOnly() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/file"
            try Data().write(to: URL(fileURLWithPath: path))
            let reserve = try #require(FileReserve(path: path, behind: 0))
            // More than the reserve knows of.
            let stored = Data(repeating: 7, count: 100_000)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try file.write(contentsOf: stored)
            try file.close()
            reserve.keepAhead(of: 4_096)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(bytes == stored + Data(count: FileReserve.byteCount))
        }
    }

    @Test("Without room for zeros, or without the file, everything goes on")
    func noRoom() throws {
        #expect(FileReserve(path: "/nowhere/events.lmdb", behind: 0) == nil)
        let full = try #require(FileReserve(path: "/dev/full", behind: 0))
        for page in 1...3 { full.keepAhead(of: page * 4_096) }
    }
}
