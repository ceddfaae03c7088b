import ArgumentParser
import RESTRequests
import Registry

/// Runs the server.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the server: the REST API, the conductor with its log, and the monitor actions.",
        discussion: """
            Every option may also stand in the environment (--monitor-interval is VEDETTE_MONITOR_INTERVAL) \
            or in a YAML file named by --configuration-file (monitor-interval: 5). A flag wins over the \
            environment, and that over the file.

            SIGTERM and SIGINT finish what is under way, sync, and exit 0.
            """)

    @OptionGroup var directory: DataDirectory
    @Option(
        help: ArgumentHelp(
            "Where to listen; port 0 takes any free one (default: 127.0.0.1:9890).", valueName: "host:port"))
    var listen: String?
    @Option(
        help: ArgumentHelp(
            "How callers prove who they are; 'none' is the only mode yet (default: none).", valueName: "mode")
    )
    var auth: String?
    @Flag(help: "Listen beyond loopback although nobody is authenticated.") var insecure = false
    @Flag(help: "Answer errors with Tacker's status codes: 500 where 400, 404 or 409 is meant.")
    var legacyStatusCodes = false
    @Option(
        help: ArgumentHelp(
            "'required' (default): a VIM must answer to be registered; 'deferred': its monitor tells.",
            valueName: "when"))
    var registrationCheck: String?
    @Option(
        help: ArgumentHelp(
            """
            The file of the key that encrypts credentials; made with mode 0600 if the log is new (default: \
            master.key in the data directory).
            """,
            valueName: "file"))
    var masterKeyFile: String?
    @Flag(help: "Start with a new master key although the old one is lost; set all credentials anew then.")
    var replaceMasterKey = false
    @Option(
        help: ArgumentHelp("Seconds from one probe of a VIM to the next (default: 10).", valueName: "seconds")
    )
    var monitorInterval: Double?
    @Option(help: ArgumentHelp("Seconds that one probe may take (default: 5).", valueName: "seconds"))
    var monitorTimeout: Double?
    @Option(
        help: ArgumentHelp(
            "Failed probes in a row that make a VIM UNREACHABLE (default: 3).", valueName: "count"))
    var monitorFailureThreshold: Int?
    @Option(
        help: ArgumentHelp(
            "Answered probes in a row that make a VIM REACHABLE (default: 1).", valueName: "count"))
    var monitorSuccessThreshold: Int?
    @Option(
        help: ArgumentHelp(
            "The probe: http, kubernetes, tcp or icmp (default: what suits the VIM's type).",
            valueName: "kind"))
    var monitorProbe: String?
    @Option(
        help: ArgumentHelp(
            "Seconds after which an action reports although nothing changed, at most 60 (default: 60).",
            valueName: "seconds"))
    var reportInterval: Double?
    @Option(
        help: ArgumentHelp(
            "Sign the log's head with this key and publish it at /vedette/v1/head (see vedette audit key).",
            valueName: "file"))
    var headKey: String?
    @Option(help: ArgumentHelp("Also write the signed head to this file.", valueName: "file"))
    var headFile: String?
    @Option(
        help: ArgumentHelp("Minutes from one signed head to the next (default: 5).", valueName: "minutes"))
    var headInterval: Double?
    @Option(
        help: ArgumentHelp(
            """
            Move events that are older into the archive, where they take a few per cent of the space and \
            read as before: 12h, 30d; or 'never' (default: 30d).
            """,
            valueName: "age"))
    var archiveAfter: String?
    @OptionGroup(title: "A pair of conductors") var pair: PairFlags
    @OptionGroup(title: "RabbitMQ") var rpc: RPCFlags
    @OptionGroup(title: "Where monitor actions run") var workflows: WorkflowsFlags
    @Option(
        help: ArgumentHelp(
            "trace, debug, info, notice, warning or error (default: info).", valueName: "level"))
    var logLevel: String?
    @Option(
        help: ArgumentHelp(
            "A YAML file with any of these options (environment: VEDETTE_CONFIGURATION_FILE).",
            valueName: "file"))
    var configurationFile: String?

    func run() async throws {
        try await Server(settings: try await ServeSettings(self)).run()
    }
}
