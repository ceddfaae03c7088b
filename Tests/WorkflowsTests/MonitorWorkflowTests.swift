import Foundation
import Monitoring
import Registry
import Testing
import Yams

@testable import Workflows

@Suite("What Mistral is told")
struct MonitorWorkflowTests {
    private let vimID = VIMID(UniqueID(high: 1, low: 2))

    @Test("The workflow is valid YAML: one task, whose action takes every input of the workflow")
    func definition() throws {
        let text = try MonitorWorkflow.definition(of: vimID)
        let document = try #require(try Yams.load(yaml: text) as? [String: Any])
        #expect(document["version"] as? String == "2.0")
        #expect(document.keys.sorted() == ["version", "vim_id_\(vimID)"])
        let workflow = try #require(document["vim_id_\(vimID)"] as? [String: Any])
        #expect(workflow["type"] as? String == "direct")
        #expect(workflow["tags"] as? [String] == ["vedette"])
        let inputs = try #require(workflow["input"] as? [String])
        let tasks = try #require(workflow["tasks"] as? [String: [String: Any]])
        #expect(tasks.keys.sorted() == ["monitor"])
        #expect(tasks["monitor"]?["action"] as? String == "vedette.monitor")
        let handed = try #require(tasks["monitor"]?["input"] as? [String: String])
        #expect(handed == Dictionary(uniqueKeysWithValues: inputs.map { ($0, "<% $.\($0) %>") }))

        // The inputs are exactly what an execution gives.
        let given = try JSONSerialization.jsonObject(with: JSONEncoder().encode(input(MonitorSettings())))
        #expect((given as? [String: Any])?.keys.sorted() == inputs.sorted())
    }

    @Test("The plug-in's action takes exactly these parameters")
    func plugIn() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let source = try String(
            contentsOf: root.appendingPathComponent("tools/mistral-plugin/vedette_mistral/action.py"),
            encoding: .utf8)
        let start = try #require(source.firstRange(of: "def __init__(self, "))
        let parameters = source[start.upperBound...].prefix { $0 != ")" }.split(separator: ",").map {
            String($0.split(separator: "=")[0]).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        #expect(parameters.sorted() == MonitorWorkflow.Input.CodingKeys.allCases.map(\.rawValue).sorted())
    }

    @Test("Names lead back to their VIM, and foreign names to none")
    func names() {
        #expect(MonitorWorkflow.vimID(ofWorkflow: MonitorWorkflow.name(of: vimID)) == vimID)
        for name in ["vim_id_", "vim_id_x", "my_vim_id_\(vimID)", "vim_monitor", "vim_id_\(vimID)-2"] {
            #expect(MonitorWorkflow.vimID(ofWorkflow: name) == nil, "\(name)")
        }
    }

    @Test("Settings come from the VIM, then the server, then the built-in defaults; times are seconds")
    func settings() {
        let plain = input(MonitorSettings())
        #expect(plain.probe == "http")
        #expect(plain.interval == 10 && plain.timeout == 5 && plain.reportInterval == 2.5)
        #expect(plain.failureThreshold == 3 && plain.successThreshold == 1)
        #expect(plain.status == "REACHABLE" && plain.verifies && plain.authorities.isEmpty)
        #expect(plain.exchange == "tacker" && plain.topic == "TACKER_CONDUCTOR")
        let own = input(
            MonitorSettings(intervalMilliseconds: 250),
            defaults: MonitorSettings(probe: .tcp, intervalMilliseconds: 500, failureThreshold: 7),
            tls: TLSProfile(verifies: false, authorities: "PEM"))
        #expect(own.probe == "tcp" && own.interval == 0.25 && own.failureThreshold == 7)
        #expect(!own.verifies && own.authorities == "PEM")
    }

    @Test("Orders are equal when an action is to do the same, whoever left it out; they fit Mistral's column")
    func orders() {
        let plain = input(MonitorSettings()).orders
        #expect(plain == input(MonitorSettings(intervalMilliseconds: 10_000, failureThreshold: 3)).orders)
        for other in [
            MonitorSettings(probe: .tcp), MonitorSettings(intervalMilliseconds: 10_001),
            MonitorSettings(timeoutMilliseconds: 1), MonitorSettings(failureThreshold: 4),
            MonitorSettings(successThreshold: 2),
        ] { #expect(plain != input(other).orders) }
        #expect(plain.utf8.count < 200)
    }

    private func input(
        _ settings: MonitorSettings, defaults: MonitorSettings = MonitorSettings(),
        tls: TLSProfile = TLSProfile()
    ) -> MonitorWorkflow.Input {
        MonitorWorkflow.Input(
            MonitorAssignment(
                vimID: vimID, actionID: MonitorActionID(UniqueID(high: 3, low: 4)), type: .openstack,
                authURL: "http://127.0.0.1:5000/v3", settings: settings, status: .reachable),
            tls: tls,
            options: .init(
                exchange: "tacker", topic: "TACKER_CONDUCTOR", defaults: defaults,
                reportInterval: .milliseconds(2_500)))
    }
}
