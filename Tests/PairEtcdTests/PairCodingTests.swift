import PairProtocol
import Testing

@testable import PairEtcd

@Suite("What the pair's keys in etcd hold")
struct PairCodingTests {
    private let first = LogIdentity(bytes: SIMD2(0x0123_4567_89AB_CDEF, 0xF))
    private let second = LogIdentity(bytes: SIMD2(0, 1))

    @Test("A log is 32 digits, and reads back; nothing else does")
    func identities() {
        #expect(PairKeys.text(of: first) == "0123456789abcdef000000000000000f")
        #expect(PairKeys.identity("0123456789abcdef000000000000000f") == first)
        for text in ["", "0123456789abcdef000000000000000", "+123456789abcdef000000000000000f", "x"] {
            #expect(PairKeys.identity(text) == nil)
        }
    }

    @Test("insync is one log or two in order, a blank between")
    func insync() {
        let text = "00000000000000000000000000000001 0123456789abcdef000000000000000f"
        #expect(PairKeys.text(of: [first, second]) == text)
        #expect(PairKeys.members(Array(text.utf8)) == [first, second])
        #expect(PairKeys.members(Array(PairKeys.text(of: [first]).utf8)) == [first])
        let one = PairKeys.text(of: first)
        for text in ["", " ", one + " ", one + " " + one, text + " " + one, one + "\n"] {
            #expect(PairKeys.members(Array(text.utf8)) == nil, "\(text)")
        }
    }

    @Test("A member's JSON is this, and reads back; members that are not known are passed over")
    func members() throws {
        var member = PairMember(
            name: "a", restAddress: "http://h:1", peerAddress: "h:2", version: "1.0", role: .entering,
            epoch: .max, end: 7, trouble: nil, time: 1_700_000_000_000_000)
        let json =
            #"{"end":"7","epoch":"18446744073709551615","name":"a","peer_address":"h:2","#
            + #""rest_address":"http://h:1","role":"entering","time":1700000000000000,"version":"1.0"}"#
        #expect(String(decoding: member.encoded, as: UTF8.self) == json)
        #expect(PairMember(encoded: Array(json.utf8)) == member)
        member.trouble = "the disk is full"
        member.masterKey = "00ff00ff00ff00ff"
        member.copy = .init(to: "b", byteCount: 1, of: .max)
        #expect(PairMember(encoded: member.encoded) == member)
        let copy = #","copy":{"bytes":"1","host":"b","of":"18446744073709551615"},"end""#
        #expect(String(decoding: member.encoded, as: UTF8.self).contains(copy.dropFirst()))
        #expect(PairMember(encoded: Array((json.dropLast() + #","copy":[7]}"#).utf8))?.copy == nil)
        #expect(PairMember(encoded: Array((json.dropLast() + #","new":[1]}"#).utf8))?.name == "a")
        // Nothing is decided by it.
        let later = json.replacing(#""entering""#, with: #""witness""#)
        #expect(PairMember(encoded: Array(later.utf8))?.role == .standby)
        for part in [#""end":"7""#, #""role":"entering""#, #""time":1700000000000000"#] {
            #expect(PairMember(encoded: Array(json.replacing(part, with: #""x":1"#).utf8)) == nil)
        }
        #expect(PairMember(encoded: []) == nil)
    }
}
