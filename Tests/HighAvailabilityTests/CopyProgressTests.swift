// Starts nothing.
import Testing

@testable import HighAvailability

@Suite("How far a copy is")
struct CopyProgressTests {
    private typealias Line = CopyProgress.Line

    @Test("It is said at first, every five seconds, and at the end")
    func lines() {
        var progress = CopyProgress(of: 2_000, at: .seconds(10))
        var lines = [progress.firstLine]
        for step in 1...12 {
            if let line = progress.took(100, at: .seconds(10 + step)) { lines.append(line) }
        }
        lines.append(progress.end(at: .seconds(24)))
        #expect(
            lines == [
                Line(byteCount: 0, total: 2_000, bytesPerSecond: nil),
                Line(byteCount: 500, total: 2_000, bytesPerSecond: 100),
                Line(byteCount: 1_000, total: 2_000, bytesPerSecond: 100),
                Line(byteCount: 1_200, total: 1_200, bytesPerSecond: 50),
            ])
        #expect(lines.map(\.percent) == [0, 25, 50, 100])
    }

    @Test("More than was said beforehand is no more than all")
    func more() {
        var progress = CopyProgress(of: 10, at: .zero)
        #expect(progress.took(1_000, at: .seconds(6))?.percent == 100)
        #expect(CopyProgress(of: 0, at: .zero).firstLine.percent == 100)
    }
}
