import Registry
import Samples
import Testing

@Suite("Ids, moments and findings")
struct VocabularyTests {
    @Test("An id reads with and without hyphens, in any case, and is shown in lower case with them")
    func idTexts() throws {
        let id = try #require(UniqueID("0123ABCD-ef01-4234-8567-89abcdef0123"))
        #expect(id.description == "0123abcd-ef01-4234-8567-89abcdef0123")
        #expect(id.high == 0x0123_ABCD_EF01_4234)
        #expect(id.low == 0x8567_89AB_CDEF_0123)
        #expect(UniqueID("0123abcdef014234856789abcdef0123") == id)
        #expect(id.bytes.first == 0x01 && id.bytes.last == 0x23)
        #expect(UniqueID(bytes: id.bytes) == id)
        #expect(VIMID(id.description)?.value == id)
        #expect(MonitorActionID(id.description)?.description == id.description)
    }

    @Test(
        "What is no id reads as none",
        arguments: [
            "", "x", "0123abcd-ef01-4234-8567-89abcdef012", "0123abcd-ef01-4234-8567-89abcdef01234",
            "0123abcd-ef01-4234-8567-89abcdef012g", "0123abcde-f01-4234-8567-89abcdef0123",
            "{0123abcd-ef01-4234-8567-89abcdef01}", "0123abcd-ef01-4234-8567-89abcdef012\u{0}",
            "0123abcd_ef01_4234_8567_89abcdef0123", "+123abcdef014234856789abcdef0123",
            "--------------------------------", "éééééééééééééééé", "éééééééééééééééééé",
        ])
    func noID(_ text: String) { #expect(UniqueID(text) == nil) }

    @Test("Ids of other than sixteen bytes are none; order is that of the texts")
    func idBytes() {
        for count in [0, 15, 17, 32] { #expect(UniqueID(bytes: [UInt8](repeating: 1, count: count)) == nil) }
        var random = SeededGenerator(seed: runSeed)
        let ids = (0..<200).map { _ in UniqueID(using: &random) }
        #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted(), "SEED=\(runSeed)")
    }

    @Test("Bytes are shown as two lower-case digits each")
    func hexadecimal() {
        #expect([0x00, 0x09, 0x0A, 0x90, 0xA0, 0xFF].map(UInt8.init).hexadecimal == "00090a90a0ff")
        #expect((UInt8.min ... .max).map { [$0].hexadecimal }.map { UInt8($0, radix: 16) } == Array(0...255))
        #expect([UInt8]().hexadecimal == "")
    }

    @Test("Random ids are UUIDs of version 4")
    func randomIDs() {
        var random = SeededGenerator(seed: runSeed)
        for _ in 0..<200 {
            let text = Array(UniqueID(using: &random).description)
            #expect(text[14] == "4")
            #expect(["8", "9", "a", "b"].contains(text[19]))
        }
    }

    @Test(
        "Moments are shown to the microsecond",
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (1, "1970-01-01T00:00:00.000001Z"),
            (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800_000_010, "2024-02-29T00:00:00.000010Z"),
            (1_735_689_599_000_000, "2024-12-31T23:59:59.000000Z"),
            (4_107_542_399_000_000, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] as [(UInt64, String)])
    func moments(_ microseconds: UInt64, _ text: String) {
        let moment = Timestamp(microseconds: microseconds)
        #expect(moment.description == text)
        #expect(moment.spaced == text.replacing("T", with: " ").dropLast())
    }

    @Test("Every day from 1970 to 2399 has the date that counting gives it")
    func everyDay() {
        var (year, month, day) = (1970, 1, 1)
        var number: UInt64 = 0
        while year < 2_400 {
            let expected = "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
            if day <= 2 || day >= 27 {
                let shown = Timestamp(microseconds: (number * 86_400 + 1) * 1_000_000).description
                if !shown.hasPrefix(expected + "T00:00:01") { Issue.record("\(shown) is not \(expected)") }
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let length = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
            day += 1
            if day > length { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
            number += 1
        }
    }

    @Test("Even the greatest moment is shown, and moments move by durations without falling out")
    func extremes() {
        #expect(Timestamp(microseconds: .max).description.hasSuffix("Z"))
        let moment = Timestamp(microseconds: 1_000_000)
        #expect(moment.advanced(by: .milliseconds(1_500)).microseconds == 2_500_000)
        #expect(moment.advanced(by: .nanoseconds(1_999)).microseconds == 1_000_001)
        #expect(moment.advanced(by: .seconds(-5)).microseconds == 0)
        #expect(Timestamp(microseconds: 1) < Timestamp(microseconds: 2))
    }

    @Test("Findings fit two bytes and come back; unknown reasons read as unstated")
    func findings() {
        for reason in ProbeFinding.Reason.allCases {
            for detail in [0, 1, 599, 1_023] as [UInt16] {
                let finding = ProbeFinding(reason, detail: detail, roundTripMicroseconds: .max)
                #expect(ProbeFinding(packed: finding.packed, roundTripMicroseconds: .max) == finding)
                #expect(finding.packed == UInt16(reason.rawValue) << 10 | detail)
            }
            #expect(!ProbeFinding(reason).word.isEmpty)
        }
        #expect(ProbeFinding(.answered, detail: 60_000).detail == 1_023)
        for packed in [UInt16.max, 63 << 10, 13 << 10] {
            #expect(ProbeFinding(packed: packed, roundTripMicroseconds: 1).reason == .unstated)
        }
        #expect(ProbeFinding(.timedOut, detail: 3).sentence == "timed out in tls")
        #expect(ProbeFinding(.timedOut, detail: 9).sentence == "timed out")
        #expect(ProbeFinding(.httpStatus, detail: 503).sentence == "answered HTTP 503")
    }

    @Test("A monitor may claim two words only", arguments: VIMStatus.allCases)
    func claims(_ status: VIMStatus) {
        #expect(VIMStatus(reportedWord: status.word) == (status == .pending ? nil : status))
        #expect(VIMStatus(reportedWord: status.word.lowercased()) == nil)
        #expect(VIMStatus(reportedWord: status.word + " ") == nil)
    }

    @Test("Credentials on their way in print masked")
    func plainCredentials() {
        let credentials = PlainCredentials(
            whole: JSONText(#"{"password":"hush"}"#), masked: JSONText(#"{"password":"***"}"#))
        #expect(!"\(credentials)".contains("hush"))
        #expect(!String(reflecting: credentials).contains("hush"))
    }
}
