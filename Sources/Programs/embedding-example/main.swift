// Another program with a conductor inside it: no server, no door, only the libraries' public face.
import Conductor
import Logging
import Projections
import Registry

let directory = CommandLine.arguments.dropFirst().first ?? "vedette-example"
let conductor = try await Conductor(.init(directory: directory), logger: Logger(label: "example"))

let vim = try await conductor.register(
    NewVIM(
        tenantID: "default", type: .openstack, name: "edge-\(conductor.start.epoch)",
        authURL: "http://127.0.0.1:5000/v3", project: JSONText(#"{"name": "nfv"}"#),
        credentials: PlainCredentials(
            whole: JSONText(#"{"username": "nfv", "password": "secret"}"#),
            masked: JSONText(#"{"username": "nfv", "password": "***"}"#))),
    actor: Actor(userName: "example"))
print("registered \(vim.configuration.name) as \(vim.id); its monitor action is \(vim.actionID)")

let answer = try await conductor.updateVIM(vim.id, status: "REACHABLE", actionID: vim.actionID)
let stale = try await conductor.updateVIM(
    vim.id, status: "REACHABLE", actionID: MonitorActionID(vim.id.value))
print("the wanted action is answered \(answer.word), a stale one \(stale.word)")
for entry in conductor.history(of: vim.id) {
    print(entry.position, entry.time, entry.kind.word, entry.status.word)
}
await conductor.stop()
