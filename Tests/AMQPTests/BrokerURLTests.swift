import Testing

@testable import AMQP

@Suite("A broker's URL")
struct BrokerURLTests {
    @Test("Host, port, user, password and virtual host are read")
    func plain() throws {
        let url = try BrokerURL("amqp://vim:s3cret@broker.example:5673/nfv")
        #expect(url.hosts == [.init(name: "broker.example", port: 5673, user: "vim", password: "s3cret")])
        #expect(url.virtualHost == "nfv")
        #expect(url.tls == nil)
    }

    @Test("What is left out is what RabbitMQ ships with")
    func defaults() throws {
        let url = try BrokerURL("rabbit://localhost")
        #expect(url.hosts == [.init(name: "localhost", port: 5672, user: "guest", password: "guest")])
        #expect(url.virtualHost == "/")
        #expect(try BrokerURL("amqps://localhost").hosts[0].port == 5671)
    }

    @Test(
        "The virtual host is what follows the first slash, decoded",
        arguments: [
            ("amqp://h", "/"), ("amqp://h/", "/"), ("amqp://h//", "/"), ("amqp://h/%2F", "/"),
            ("amqp://h/a%2fb", "a/b"), ("amqp://h/nfv?ssl=0", "nfv"),
        ])
    func virtualHost(text: String, expected: String) throws {
        #expect(try BrokerURL(text).virtualHost == expected)
    }

    @Test("Several hosts, as OpenStack writes a cluster; a host without a user takes the last one's")
    func cluster() throws {
        let url = try BrokerURL("rabbit://u:p@h1:5672,u2:p2@h2:5673,h3/nfv")
        #expect(url.hosts.map(\.description) == ["h1:5672", "h2:5673", "h3:5672"])
        #expect(url.hosts.map(\.user) == ["u", "u2", "u2"])
        #expect(url.hosts.map(\.password) == ["p", "p2", "p2"])
    }

    @Test("Percent-encoding is undone in user and password, and a plus stays one")
    func percent() throws {
        let host = try BrokerURL("amqp://a%40b:p%3A%2F%2C%3f+@h").hosts[0]
        #expect(host.user == "a@b")
        #expect(host.password == "p:/,?+")
    }

    @Test("An IPv6 address stands in brackets")
    func addresses() throws {
        let host = try BrokerURL("amqp://[::1]:5673/").hosts[0]
        #expect(host.name == "::1")
        #expect(host.port == 5673)
        #expect(host.description == "[::1]:5673")
        #expect(try BrokerURL("amqp://[::1]").hosts[0].port == 5672)
    }

    @Test("Options ask for TLS, name its files and set heartbeats")
    func options() throws {
        let url = try BrokerURL(
            "rabbit://h/?ssl=1&ssl_ca_file=/etc/ca.pem&ssl_cert_file=/c.pem&ssl_key_file=/k.pem&heartbeat=7")
        let tls = try #require(url.tls)
        #expect(url.hosts[0].port == 5671)
        #expect(tls.authorityFile == "/etc/ca.pem")
        #expect(tls.certificateFile == "/c.pem")
        #expect(tls.keyFile == "/k.pem")
        #expect(tls.verifiesBroker)
        #expect(url.heartbeatSeconds == 7)
        #expect(try BrokerURL("amqps://h?verify=verify_none").tls?.verifiesBroker == false)
    }

    @Test("A password never shows")
    func secrecy() throws {
        let url = try BrokerURL("rabbit://u:s3cret@h1,h2/nfv")
        #expect("\(url)" == "amqp://u:***@h1:5672,u:***@h2:5672/nfv")
        #expect(!String(reflecting: url).contains("s3cret"))
    }

    @Test(
        "What is no broker's URL is refused in words, without the password",
        arguments: [
            "", "h:5672", "http://u:s3cret@h", "amqp://", "amqp://u:s3cret@", "amqp://u:s3cret@h:99999",
            "amqp://u:s3cret@h:x", "amqp://h,,h2", "amqp://u:s3cret@h/?speed=9", "amqp://h/?ssl=maybe",
            "amqp://h/?heartbeat=0", "amqp://h/?verify=perhaps", "amqp://u:s3cret%00@h",
        ])
    func refused(text: String) throws {
        let fault = #expect(throws: BrokerURL.Fault.self) { try BrokerURL(text) }
        #expect(fault?.sentence.contains("s3cret") == false)
    }

    @Test("Random bytes never trap")
    func noise() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("amqp:/@[]%,?=&1x%2".utf8)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<30, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            _ = try? BrokerURL(String(decoding: "amqp://".utf8 + bytes, as: UTF8.self))
        }
    }
}
