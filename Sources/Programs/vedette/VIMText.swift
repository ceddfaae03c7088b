import Encodings
import RESTRequests
import Registry
import VIMDrivers

/// VIMs as the command line shows them.
enum VIMText {
    /// The API's fields and Vedette's own.
    static func json(_ vim: VIM) -> JSONValue {
        var members = VIMRendering.extendedObject(vim)
        members["deregistered_at"] = vim.deregisteredAt.map { .string($0.spaced) } ?? .null
        return .object(members)
    }

    static func printList(_ vims: [VIM], emptySentence: String) {
        guard !vims.isEmpty else { return print(emptySentence) }
        var table = TextTable(["ID", "NAME", "TENANT", "TYPE", "DEFAULT", "STATUS", "WHY", "SINCE"])
        for vim in vims {
            let configuration = vim.configuration
            let word = vim.isRegistered ? vim.status.word : "DEREGISTERED"
            table.add([
                (vim.id.description, nil), (configuration.name, nil), (configuration.tenantID, nil),
                (configuration.type.rawValue, nil), (configuration.isDefault ? "yes" : "", nil),
                (word, Terminal.colour(ofStatus: word)), (vim.finding.sentence, nil),
                ((vim.updatedAt ?? vim.createdAt).spaced, .dim),
            ])
        }
        table.print()
    }

    static func printOne(_ members: [String: JSONValue]) {
        let names =
            VIMRendering.fieldNames + ["action_id", "version", "reported_at", "reason", "deregistered_at"]
        let width = names.map(\.count).max() ?? 0
        for name in names {
            guard let value = members[name], value != .null else { continue }
            let shown = Terminal.shown(value.string ?? value.text.description)
            let colour = name == "status" ? Terminal.colour(ofStatus: shown) : nil
            let padding = String(repeating: " ", count: width - name.count)
            print("\(Terminal.painted(name, .bold))\(padding)  \(Terminal.painted(shown, colour))")
        }
    }

    /// The rings of a running server: the last results and the last failures, with their phases.
    static func printProbes(_ probes: JSONValue) {
        for (title, key) in [("Last probes", "results"), ("Last failures", "failures")] {
            guard let results = probes[key]?.array, !results.isEmpty else { continue }
            print("\n" + Terminal.painted(title, .bold))
            var table = TextTable(["TIME", "PROBE", "TARGET", "RESULT", "TOOK", "PHASES"])
            for result in results {
                let succeeded = result["succeeded"] == .bool(true)
                var sentence = result["sentence"]?.string ?? ""
                if let explanation = result["explanation"]?.string, !explanation.isEmpty,
                    explanation.lowercased() != sentence
                {
                    sentence += " – " + explanation
                }
                let phases = result["phases"]?.array?.map { phase in
                    "\(phase["phase"]?.string ?? "?") \(milliseconds(phase["microseconds"]))"
                }
                table.add([
                    (result["time"]?.string ?? "", .dim), (result["probe"]?.string ?? "", nil),
                    (result["target"]?.string ?? "", nil), (sentence, succeeded ? .green : .red),
                    (milliseconds(result["round_trip_microseconds"]), nil),
                    (phases?.joined(separator: ", ") ?? "", .dim),
                ])
            }
            table.print()
        }
    }

    private static func milliseconds(_ value: JSONValue?) -> String {
        guard case .integer(let microseconds) = value else { return "" }
        return "\(microseconds / 1_000).\(microseconds % 1_000 / 100) ms"
    }
}
