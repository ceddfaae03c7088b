import ArgumentParser
import Encodings
import EventLog
import Projections
import RESTRequests
import Registry
import VIMDrivers

/// What is registered.
struct VIMCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vim", abstract: "Show registered VIMs, one VIM, or its history.",
        subcommands: [VIMList.self, VIMShow.self, VIMHistory.self])
}

/// All registered VIMs.
struct VIMList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the registered VIMs with their status and why it is so.")

    @OptionGroup var directory: DataDirectory
    @Flag(help: "One JSON object: {\"vims\": [...]}.") var json = false

    func run() async throws {
        let vims = try directory.table(of: try directory.open()).allVIMs.filter(\.isRegistered)
        if json {
            print(JSONValue.object(["vims": .array(vims.map { VIMText.json($0) })]).text)
        } else {
            VIMText.printList(
                vims, emptySentence: "No VIM is registered. Register one with: openstack vim register --help")
        }
    }
}

/// One VIM.
struct VIMShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one VIM; with a running server, also its last probes and failures.")

    @OptionGroup var directory: DataDirectory
    @Argument(help: "The VIM's name or id.") var nameOrID: String
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        let vim = try directory.find(nameOrID, in: try directory.table(of: try directory.open()))
        var shown = VIMText.json(vim)
        let answer = vim.isRegistered ? await RunningServer(directory: directory.path)?.vim(vim.id) : nil
        if let answer { shown = shown.merged(with: answer) }
        if json { return print(shown.text) }
        VIMText.printOne(shown.object ?? [:])
        if let probes = shown["probes"], probes != .null {
            VIMText.printProbes(probes)
        } else if vim.isRegistered {
            Terminal.note("\n(no server runs on this data directory: the last probes are not known)")
        }
    }
}

/// One VIM's history.
struct VIMHistory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Show when a VIM was registered, changed and deregistered, and every status change.",
        discussion: "Every report, also those that changed nothing: vedette audit log --vim NAME-or-ID")

    @OptionGroup var directory: DataDirectory
    @Argument(help: "The VIM's name or id, also of a deregistered one.") var nameOrID: String
    @Flag(help: "One JSON object: {\"history\": [...]}.") var json = false

    func run() async throws {
        let log = try directory.open()
        let table = try directory.table(of: log)
        let vim = try directory.find(nameOrID, in: table)
        let entries = table.history(of: vim.id)
        // A VIM whose registration is still there has lost nothing.
        if entries.first?.kind != .create { try directory.noteDropped(log, before: 1) }
        if json {
            print(
                JSONValue.object(["history": .array(entries.map { .object(EventRendering.object($0)) })]).text
            )
            return
        }
        var text = TextTable(["POSITION", "TIME", "EVENT", "STATUS", "WHY"])
        for entry in entries {
            text.add([
                (String(entry.position), nil), (entry.time.spaced, .dim), (entry.kind.word, nil),
                (entry.status.word, Terminal.colour(ofStatus: entry.status.word)),
                (entry.finding.sentence, nil),
            ])
        }
        text.print()
    }
}
