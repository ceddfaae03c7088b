// Another program that is one of a pair: no server, no door, only the libraries' public face.
//
//     pair-example DIRECTORY LISTEN PEER ETCD     (started twice, each the other's peer)
import Conductor
import EtcdClient
import HighAvailability
import Logging
import PairWire
import Projections
import Registry

let arguments = CommandLine.arguments
guard arguments.count == 5, let listen = PairAddress(arguments[2]), let peer = PairAddress(arguments[3])
else {
    // Whoever starts it by hand sees what is missing.
    fatalError(
        "pair-example DIRECTORY LISTEN PEER ETCD, such as: data 127.0.0.1:9891 127.0.0.1:9892 http://…:2379")
}
let logger = Logger(label: "example")
let node = try await RunningNode.joining(
    NodeConfiguration(
        pair: "example", address: "", etcd: EtcdSettings(endpoints: [arguments[4]]),
        wire: PairConfiguration(listen: listen, peer: peer, security: .loopback)),
    Conductor.Options(directory: arguments[1]), logger: logger)

async let running: Void = node.run()
for await role in node.roles {
    // A conductor leads until the role changes; what it acknowledged, the other node has, too.
    guard case .leading(let conductor) = role else { continue }
    let vim = try await conductor.register(
        NewVIM(
            tenantID: "default", type: .openstack, name: "edge-\(conductor.start.epoch)",
            authURL: "http://127.0.0.1:5000/v3", project: JSONText(#"{"name": "nfv"}"#),
            credentials: PlainCredentials(
                whole: JSONText(#"{"username": "nfv", "password": "secret"}"#),
                masked: JSONText(#"{"username": "nfv", "password": "***"}"#))),
        actor: Actor(userName: "example"))
    logger.info("registered \(vim.configuration.name): \(conductor.registeredVIMs().count) VIMs")
}
try await running
