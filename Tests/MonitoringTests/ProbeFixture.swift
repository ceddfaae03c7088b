import Logging
import NIOPosix
import Registry
import Synchronization

@testable import Monitoring

/// Credentials that a test gives, and how often they were asked for.
final class StubCredentials: CredentialSource {
    private let state: Mutex<(text: JSONText?, fetchCount: Int)>

    init(_ text: String?) { state = Mutex((text.map { JSONText($0) }, 0)) }

    var fetchCount: Int { state.withLock { $0.fetchCount } }

    func set(_ text: String?) { state.withLock { $0.text = text.map { JSONText($0) } } }

    func credentials(of vimID: VIMID, for actionID: MonitorActionID) async -> JSONText? {
        state.withLock { state in
            state.fetchCount += 1
            return state.text
        }
    }
}

/// A JSON string literal.
func quoted(_ text: String) -> String {
    let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        .replacing("\n", with: "\\n")
    return "\"\(escaped)\""
}

/// Gives a started bench, and stops it.
func withBench<Result>(
    credentials: any CredentialSource = StubCredentials(nil),
    _ body: (ProbeBench) async throws -> Result
) async throws -> Result {
    let bench = ProbeBench(
        group: .singletonMultiThreadedEventLoopGroup, credentials: credentials, logger: Logger(label: "test"))
    await bench.start()
    do {
        let result = try await body(bench)
        await bench.stop()
        return result
    } catch {
        await bench.stop()
        throw error
    }
}

/// An order with ids that mean nothing; the timeout is long where the probe should end before it.
func order(_ kind: ProbeKind, _ authURL: String, timeoutMilliseconds: UInt32 = 20_000) -> ProbeOrder {
    ProbeOrder(
        vimID: testVIM(1), actionID: testAction(1), kind: kind, authURL: authURL,
        timeoutMilliseconds: timeoutMilliseconds)
}

func testVIM(_ number: Int) -> VIMID { VIMID(UniqueID(high: 1, low: UInt64(number))) }

func testAction(_ number: Int) -> MonitorActionID {
    MonitorActionID(UniqueID(high: 2, low: UInt64(number)))
}
