import Encodings
import Testing

@testable import VIMDrivers

@Suite("auth_url and auth_cred")
struct VIMURLTests {
    @Test(
        "URLs with scheme http or https and a host are taken",
        arguments: [
            "http://h", "HTTPS://h:6443/", "http://127.0.0.1:35357/v3",
            "https://[2001:db8::1]:5000/identity/v3",
            "http://a-b.example/keystone",
        ])
    func usable(text: String) { #expect(VIMURL.fault(of: text) == nil) }

    @Test(
        "Other texts are not",
        arguments: [
            "", "h", "h:5000", "ftp://h", "http://", "http:///v3", "http://h:0", "http://h:70000",
            "http://h h/",
            "javascript:alert(1)", "http://h/?a=b", "http://h/#f", "http://h\u{0}/", "file:///etc/passwd",
            "http://[::1",
        ])
    func unusable(text: String) { #expect(VIMURL.fault(of: text) == .notHTTP) }

    @Test(
        "User information is named as the fault",
        arguments: ["http://u:p@h/v3", "https://u@h", "http://u:p w@h/"])
    func userInformation(text: String) { #expect(VIMURL.fault(of: text) == .holdsCredentials) }

    @Test(
        "Keystone's version 3 is found with one slash",
        arguments: [
            ("http://h", "http://h/v3"), ("http://h/", "http://h/v3"), ("http://h//", "http://h/v3"),
            ("http://h/v3", "http://h/v3"), ("http://h/v3/", "http://h/v3/"),
            ("http://h/v2.0", "http://h/v2.0/v3"), ("http://h/identity/", "http://h/identity/v3"),
        ])
    func keystone(given: String, stored: String) { #expect(VIMURL.keystone(given) == stored) }

    @Test("Secrets are masked wherever they stand, and nothing else is")
    func masking() {
        let masked = CredentialKeys.masked([
            "username": "u", "password": "p", "Bearer_Token": "t", "client_secret": "s", "client_id": "c",
            "oidc_token_url": "http://h/token", "ssl_ca_cert": "pem", "secret_uuid": nil,
            "cert_verify": "True",
            "API-Key": "k", "token\u{200D}": "t", "password\u{301}": "p",
            "nested": ["adminPass": 5, "list": [["private_key": "k", "x": 1]]],
        ])
        #expect(
            masked == [
                "username": "u", "password": "***", "Bearer_Token": "***", "client_secret": "***",
                "client_id": "c",
                "oidc_token_url": "http://h/token", "ssl_ca_cert": "***", "secret_uuid": "***",
                "cert_verify": "True",
                "API-Key": "***", "token\u{200D}": "***", "password\u{301}": "***",
                "nested": ["adminPass": "***", "list": [["private_key": "***", "x": 1]]],
            ])
    }
}
