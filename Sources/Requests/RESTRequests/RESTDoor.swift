import Hummingbird
public import Logging
import NIOCore
public import Projections
public import Registry
public import ServiceLifecycle
public import VIMDrivers

/// The REST door: Tacker's VIM API, and what Vedette adds to it, over HTTP.
///
/// It decides nothing: it turns requests into calls of the registrar and what comes of them into replies.
public struct RESTDoor: Sendable {
    private let responder: DoorResponder
    private let configuration: RESTConfiguration
    private let logger: Logger

    /// A door to a registry.
    ///
    /// - Parameters:
    ///   - registrar: Takes what callers want changed.
    ///   - reader: Tells what is registered and what happened.
    ///   - drivers: Who talks to which kind of VIM.
    ///   - probes: The last probes, if they are made in this process.
    ///   - configuration: The operator's choices.
    ///   - logger: For one line per request, without bodies and query strings.
    public init(
        registrar: any VIMRegistrar, reader: any RegistryReader, drivers: [VIMType: any VIMDriver],
        probes: (any ProbeJournal)?, configuration: RESTConfiguration, logger: Logger
    ) {
        self.responder = DoorResponder(
            vims: VIMResource(
                registrar: registrar, reader: reader, drivers: drivers, probes: probes,
                configuration: configuration),
            events: EventResource(reader: reader), configuration: configuration, logger: logger)
        self.configuration = configuration
        self.logger = logger
    }

    /// A server for the door, to be run in a service group; it stops gracefully with the group.
    ///
    /// - Parameters:
    ///   - host: The address or name to listen on.
    ///   - port: The port to listen on; 0 for any free one.
    ///   - onListening: Told the port, once connections are taken.
    public func service(
        host: String, port: Int, onListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) -> any Service {
        application(host: host, port: port, onListening: onListening)
    }

    func application(
        host: String, port: Int, onListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) -> Application<DoorResponder> {
        // The server's own lines tell of every connection; what matters is in the door's.
        var serverLogger = logger
        if serverLogger.logLevel < .notice { serverLogger.logLevel = .notice }
        return Application(
            responder: responder,
            server: .http1(
                configuration: .init(
                    idleTimeout: TimeAmount(configuration.idleTimeout),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: configuration.headerByteMax,
                        maxHeaderListSize: 4 * configuration.headerByteMax, maxHeaderFieldCount: 200))),
            configuration: .init(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: .maximum(configuration.connectionMax, logger: serverLogger)),
            onServerRunning: { channel in await onListening(channel.localAddress?.port ?? port) },
            logger: serverLogger)
    }
}
