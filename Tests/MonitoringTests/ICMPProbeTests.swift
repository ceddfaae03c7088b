import Glibc
import NIOCore
import Registry
import Testing

@testable import Monitoring

@Suite("The ICMP probe")
struct ICMPProbeTests {
    /// Whether this machine lets us open such a socket at all.
    static func isPermitted(isVersion6: Bool) -> Bool {
        guard case .success(let socket) = EchoSocket.open(isVersion6: isVersion6) else { return false }
        socket.close()
        return true
    }

    @Test(
        "127.0.0.1 answers",
        .enabled(if: isPermitted(isVersion6: false), "ICMP sockets are not permitted here"))
    func version4() async throws {
        let outcome = try await withBench { await $0.probe(order(.icmp, "https://127.0.0.1:5000/v3")) }
        #expect(outcome.meaning == .answered, "\(outcome.explanation)")
        #expect(outcome.phases.list.map(\.phase) == [.resolve, .answer])
    }

    @Test(
        "::1 answers", .enabled(if: isPermitted(isVersion6: true), "ICMPv6 sockets are not permitted here"))
    func version6() async throws {
        let outcome = try await withBench { await $0.probe(order(.icmp, "http://[::1]/")) }
        #expect(outcome.meaning == .answered, "\(outcome.explanation)")
    }

    @Test(
        "Hundreds of echoes at once each find their own probe over the one socket",
        .enabled(if: isPermitted(isVersion6: false), "ICMP sockets are not permitted here"))
    func many() async throws {
        let outcomes = try await withBench { bench in
            await withTaskGroup(of: ProbeOutcome.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        await bench.probe(order(.icmp, "http://127.0.\(number / 250).\(number % 250 + 1)"))
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }
        #expect(outcomes.count == 500)
        #expect(outcomes.allSatisfy { $0.meaning == .answered })
    }

    @Test("Without permission the finding tells the operator what to do")
    func refused() throws {
        guard case .failure(let refusal) = EchoSocket.open(isVersion6: false) else { return }
        #expect(refusal.explanation.contains("ping_group_range"))
        #expect(refusal.explanation.contains("CAP_NET_RAW"))
        #expect(!refusal.isTransient)
    }

    @Test("A request is what RFC 792 says, check sum included")
    func request() {
        let packet = EchoPacket(identifier: 0x1234, sequence: 7, cookie: 0x0102_0304_0506_0708)
        let bytes = packet.request(isVersion6: false)
        #expect(bytes == [8, 0, 0xD5, 0xB0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(EchoPacket.checkSum(bytes) == 0)
        #expect(packet.request(isVersion6: true).prefix(4) == [128, 0, 0, 0])
    }

    @Test("Only a whole reply gives its cookie")
    func replies() {
        let whole: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
        #expect(EchoPacket.replyCookie(whole, isVersion6: false) == 0x0102_0304_0506_0708)
        #expect(EchoPacket.replyCookie(whole, isVersion6: true) == nil)
        for count in 0..<whole.count {
            #expect(EchoPacket.replyCookie(whole.prefix(count), isVersion6: false) == nil)
        }
        #expect(EchoPacket.withoutIPv4Header([0x45, 0]) == nil)
        #expect(EchoPacket.withoutIPv4Header([0x41] + Array(repeating: 0, count: 30)) == nil)
        #expect(EchoPacket.withoutIPv4Header([]) == nil)
    }

    @Test("Addresses are compared without ports")
    func addresses() throws {
        let one = try EchoAddress(SocketAddress(ipAddress: "127.0.0.1", port: 0))
        #expect(try one == EchoAddress(SocketAddress(ipAddress: "127.0.0.1", port: 9)))
        #expect(try one != EchoAddress(SocketAddress(ipAddress: "127.0.0.2", port: 0)))
        let six = try EchoAddress(SocketAddress(ipAddress: "fd00::2", port: 1))
        #expect(six?.isVersion6 == true)
        #expect(try six == EchoAddress(SocketAddress(ipAddress: "fd00::2", port: 2)))
        #expect(try six != EchoAddress(SocketAddress(ipAddress: "fd01::2", port: 1)))
        #expect(try EchoAddress(SocketAddress(unixDomainSocketPath: "/x")) == nil)
    }
}
