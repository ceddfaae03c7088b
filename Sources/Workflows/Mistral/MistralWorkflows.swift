public import MistralClient
import Monitoring
public import Registry

/// Runs monitor actions on an OpenStack Mistral: per VIM one workflow with one long-lived action.
///
/// An execution's id is its action's id. So a launch whose answer was lost may be asked for again and starts
/// nothing twice, and Mistral's list of executions says which actions there are without a look into any.
public struct MistralWorkflows: MonitorBackend {
    /// How the actions reach the conductor, and what VIMs leave out of their settings.
    public struct Options: Sendable {
        /// The RPC exchange of the conductor.
        public var exchange: String
        /// The RPC topic of the conductor.
        public var topic: String
        /// What VIMs leave out of `extra.monitor`.
        public var defaults: MonitorSettings
        /// An action that has nothing new reports this often.
        public var reportInterval: Duration

        /// All parts at once.
        public init(exchange: String, topic: String, defaults: MonitorSettings, reportInterval: Duration) {
            self.exchange = exchange
            self.topic = topic
            self.defaults = defaults
            self.reportInterval = reportInterval
        }
    }

    /// So many names are asked for by name; of more VIMs than that, all are listed.
    static let namedMax = 50

    /// The word stored with launches and stops.
    public var name: String { "mistral" }
    /// One engine serves few at a time, and others need it, too.
    public var callMax: Int { 8 }
    /// They run on executors.
    public var actionsOutliveConductor: Bool { true }
    /// What to do about actions that Mistral shows running and that do not.
    public var adviceOnSilence: String? {
        "Mistral may show them RUNNING although no executor has a thread free for them: see that an executor "
            + "runs, and raise its executor_thread_pool_size ([DEFAULT] in mistral.conf, 64 if not set) to "
            + "the number of VIMs, or start more executors"
    }

    private let mistral: MistralAPI
    private let credentials: any CredentialSource
    private let options: Options

    /// - Parameters:
    ///   - credentials: asked how TLS is spoken to a VIM; no secret of them goes to Mistral.
    public init(mistral: MistralAPI, credentials: any CredentialSource, options: Options) {
        self.mistral = mistral
        self.credentials = credentials
        self.options = options
    }

    /// The executions of VIMs' workflows as Mistral shows them; one or two calls for a thousand of them.
    ///
    /// A workflow without an execution is left of a launch or a stop that was cut short: it shows as an ended
    /// action with an id that none has.
    public func sightings(of vims: Set<VIMID>?) async throws -> [VIMID: [MonitorSighting]] {
        var sightings: [VIMID: [MonitorSighting]] = [:]
        for execution in try await executions(of: vims) {
            guard let vimID = MonitorWorkflow.vimID(ofWorkflow: execution.workflowName),
                let actionID = MonitorActionID(execution.id)
            else { continue }
            sightings[vimID, default: []].append(
                MonitorSighting(
                    actionID, MistralWorkflows.state(execution), orders: execution.description ?? ""))
        }
        try await unmaskCopies(in: &sightings)
        guard vims == nil else { return sightings }
        for name in try await mistral.workflowNames(holding: MonitorWorkflow.nameMark) {
            guard let vimID = MonitorWorkflow.vimID(ofWorkflow: name), sightings[vimID] == nil else {
                continue
            }
            let none = MonitorActionID(UniqueID(high: 0, low: 0))
            sightings[vimID] = [MonitorSighting(none, .ended("a workflow without an execution"))]
        }
        return sightings
    }

    /// Stores the workflow and starts its execution.
    public func launch(_ assignment: MonitorAssignment) async throws {
        guard let description = orders(of: assignment) else { return }
        let text = await credentials.credentials(of: assignment.vimID, for: assignment.actionID)
        let tls = text.map { VIMAccess($0).tls } ?? TLSProfile()
        try await mistral.storeWorkflow(definition: try MonitorWorkflow.definition(of: assignment.vimID))
        _ = try await mistral.startExecution(
            id: assignment.actionID.description, ofWorkflow: MonitorWorkflow.name(of: assignment.vimID),
            description: description, input: MonitorWorkflow.Input(assignment, tls: tls, options: options))
    }

    /// A running action hears nothing but the answers to its reports.
    public func adjust(_ assignment: MonitorAssignment) async -> Bool { false }

    /// Stands in the execution's description.
    public func orders(of assignment: MonitorAssignment) -> String? {
        MonitorWorkflow.Input(assignment, tls: TLSProfile(), options: options).orders
    }

    /// Removes the execution, and the workflow unless another execution of it runs.
    ///
    /// The action itself ends when its next report is answered `bad_action`. The execution goes last:
    /// as long as anything is left, the execution shows it.
    public func stop(_ vimID: VIMID, actionID: MonitorActionID) async throws {
        let name = MonitorWorkflow.name(of: vimID)
        let id = actionID.description
        let others = try await mistral.executions(ofWorkflows: [name]).filter { $0.id != id && !$0.hasEnded }
        if others.isEmpty { try await mistral.deleteWorkflow(named: name) }
        try await mistral.deleteExecution(id: actionID.description)
    }

    /// Who started an execution once more gave it the input of the first: both report under one id.
    private func unmaskCopies(
        in sightings: inout [VIMID: [MonitorSighting]]
    ) async throws(MistralError) {
        for (vimID, ofOneVIM) in sightings where ofOneVIM.count(where: { $0.state == .running }) > 1 {
            for (index, sighting) in ofOneVIM.enumerated() where sighting.state == .running {
                let input = try await mistral.input(
                    ofExecution: sighting.actionID.description, as: MonitorWorkflow.ReportingID.self)
                guard let id = input?.actionID.flatMap({ MonitorActionID($0) }) else { continue }
                sightings[vimID]?[index].reportsAs = id
            }
        }
    }

    private func executions(of vims: Set<VIMID>?) async throws(MistralError) -> [MistralExecution] {
        guard let vims, vims.count <= MistralWorkflows.namedMax else {
            return try await mistral.executions(ofWorkflowsHolding: MonitorWorkflow.nameMark)
        }
        return try await mistral.executions(ofWorkflows: vims.map { MonitorWorkflow.name(of: $0) })
    }

    private static func state(_ execution: MistralExecution) -> MonitorSighting.State {
        guard execution.hasEnded else { return .running }
        let reason = execution.stateInfo.map { ": \($0.split(separator: "\n").first ?? "")" } ?? ""
        return .ended("Mistral shows \(execution.state)\(reason)".prefix(300).description)
    }
}
