import Registry
import Testing

@testable import Monitoring

@Suite("What a probe takes from credentials")
struct VIMAccessTests {
    @Test("The words for no authority mean none", arguments: ["", " ", "None", "NONE", "null", "NULL"])
    func none(word: String) {
        #expect(TLSProfile.authorities(in: word) == nil)
        #expect(TLSProfile.authorities(in: nil) == nil)
    }

    @Test("PEM comes out the same however its line breaks were treated")
    func repaired() {
        let pem = TestCertificate.loopback.certificate + "\n" + TestCertificate.elsewhere.certificate + "\n"
        #expect(TLSProfile.authorities(in: pem) == pem)
        #expect(TLSProfile.authorities(in: pem.replacing("\n", with: " ")) == pem)
        #expect(TLSProfile.authorities(in: pem.replacing("\n", with: "\r\n  ")) == pem)
    }

    @Test("A field of a wrong type does not hide the others")
    func wrongTypes() {
        let access = VIMAccess(
            JSONText(#"{"bearer_token": 7, "cert_verify": "False", "username": "u", "password": "p"}"#))
        #expect(!access.tls.verifies)
        #expect(access.authorization == "Basic dTpw")
    }

    @Test(
        "What is no object gives nothing and verifies",
        arguments: ["", "[]", "7", "{", #"{"cert_verify": 0.5}"#])
    func nothing(text: String) {
        let access = VIMAccess(JSONText(text))
        #expect(access.tls == TLSProfile())
        #expect(access.authorization == nil)
    }
}
