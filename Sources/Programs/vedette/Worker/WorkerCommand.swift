import ArgumentParser

/// Runs a worker.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Run a worker: carry monitor actions for a server on this or another machine.",
        discussion: """
            A server started with --workflows workers gives its monitor actions to workers over \
            RabbitMQ. Start as many as you like, wherever they reach the broker and the VIMs:

              vedette serve --workflows workers --rabbitmq rabbit://user:password@broker/
              vedette worker --rabbitmq rabbit://user:password@broker/ --capacity 20000
              vedette workers

            A worker takes as many actions as it has room for, up to its fair share; one that is started \
            later is given its part within minutes. SIGTERM and SIGINT make it give back what it \
            carries, so that it runs elsewhere at once, and exit 0; a second signal ends it at once. \
            What a killed worker carried is given to others when it has been silent for three report \
            intervals. While the conductor or the broker is away it keeps probing, and tells the newest \
            status afterwards.

            Every option may also stand in the environment (--capacity is VEDETTE_CAPACITY) or in a YAML \
            file named by --configuration-file. A flag wins over the environment, and that over the \
            file.
            """)

    @OptionGroup var broker: BrokerFlags
    @Option(
        help: ArgumentHelp(
            """
            The most actions to carry (default: 20000). As a rule of thumb, with TCP probes every 10 s, a \
            thousand need 1.5 MB beside the 35 MB of an idle worker, and a fortieth of a processor.
            """, valueName: "count"))
    var capacity: Int?
    @Option(
        help: ArgumentHelp("What to call this worker (default: the machine's name).", valueName: "name"))
    var name: String?
    @OptionGroup var secret: WorkerSecretFlags
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
        try await WorkerProgram(settings: try await WorkerSettings(self)).run()
    }
}
