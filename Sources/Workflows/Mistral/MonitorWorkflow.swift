import Monitoring
import Registry
import Yams

/// What Mistral is told of one monitor action: a workflow per VIM with one task, and the input of its
/// execution, which holds no secret.
struct MonitorWorkflow: Sendable {
    /// The name of the action in tools/mistral-plugin.
    static let actionName = "vedette.monitor"
    private static let prefix = "vim_id_"

    /// The name of a VIM's workflow.
    static func name(of vimID: VIMID) -> String { prefix + vimID.description }

    /// The VIM of a workflow; nil if the name is none of ours.
    static func vimID(ofWorkflow name: String) -> VIMID? {
        guard name.hasPrefix(prefix) else { return nil }
        return VIMID(name.dropFirst(prefix.count))
    }

    /// What all names of ours hold.
    static var nameMark: String { prefix }

    /// The definition in Mistral's language, version 2.
    static func definition(of vimID: VIMID) throws -> String {
        let inputs = Input.CodingKeys.allCases.map(\.rawValue)
        let handed: [(Yams.Node, Yams.Node)] = inputs.map { (Yams.Node($0), Yams.Node("<% $.\($0) %>")) }
        let task: Yams.Node = ["action": Yams.Node(actionName), "input": Yams.Node(handed)]
        let workflow: [(Yams.Node, Yams.Node)] = [
            ("type", "direct"),
            ("description", Yams.Node("Vedette watches VIM \(vimID) and makes and removes this by itself.")),
            ("tags", ["vedette"]),
            ("input", .sequence(.init(inputs.map { Yams.Node($0) }))),
            ("tasks", ["monitor": task]),
        ]
        // The version is a text: as a number it would be another one to Mistral.
        let document: [(Yams.Node, Yams.Node)] = [
            ("version", Yams.Node("2.0", Tag(.str), .singleQuoted)),
            (Yams.Node(name(of: vimID)), Yams.Node(workflow)),
        ]
        return try Yams.serialize(node: Yams.Node(document))
    }

    /// The part of an execution's input that says under which id its action reports.
    struct ReportingID: Decodable {
        var actionID: String?

        enum CodingKeys: String, CodingKey {
            case actionID = "action_id"
        }
    }

    /// The action's parameters, by the names that the plug-in gives them; times are in seconds.
    struct Input: Encodable, Hashable {
        var vimID: String
        var actionID: String
        var authURL: String
        var probe: String
        var interval: Double
        var timeout: Double
        var failureThreshold: Int
        var successThreshold: Int
        var reportInterval: Double
        var status: String
        var verifies: Bool
        var authorities: String
        var exchange: String
        var topic: String

        enum CodingKeys: String, CodingKey, CaseIterable {
            case vimID = "vim_id"
            case actionID = "action_id"
            case authURL = "auth_url"
            case probe
            case interval
            case timeout
            case failureThreshold = "failure_threshold"
            case successThreshold = "success_threshold"
            case reportInterval = "report_interval"
            case status
            case verifies = "cert_verify"
            case authorities = "ca_cert"
            case exchange
            case topic
        }

        /// What an action is to do apart from where: another endpoint makes another action.
        var orders: String {
            "Vedette watches VIM \(vimID): \(probe) every \(interval) s, timeout \(timeout) s, UNREACHABLE "
                + "after \(failureThreshold), REACHABLE after \(successThreshold), reports every "
                + "\(reportInterval) s"
        }

        init(_ assignment: MonitorAssignment, tls: TLSProfile, options: MistralWorkflows.Options) {
            let settings = assignment.settings.filled(from: options.defaults)
            let pace = MonitorPace(
                settings, reportIntervalMilliseconds: UInt32(options.reportInterval / .milliseconds(1)))
            vimID = assignment.vimID.description
            actionID = assignment.actionID.description
            authURL = assignment.authURL
            probe = (settings.probe ?? assignment.type.defaultProbe).rawValue
            interval = Double(pace.intervalMilliseconds) / 1_000
            timeout = Double(pace.timeoutMilliseconds) / 1_000
            failureThreshold = Int(pace.failureThreshold)
            successThreshold = Int(pace.successThreshold)
            reportInterval = Double(pace.reportIntervalMilliseconds) / 1_000
            status = assignment.status.word
            verifies = tls.verifies
            authorities = tls.authorities ?? ""
            exchange = options.exchange
            topic = options.topic
        }
    }
}

extension Yams.Node {
    /// A mapping in this order.
    fileprivate init(_ pairs: [(Yams.Node, Yams.Node)]) { self = .mapping(Mapping(pairs)) }
}
