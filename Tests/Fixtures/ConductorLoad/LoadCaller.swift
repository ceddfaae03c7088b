import Conductor
import Glibc
import Projections
import Recording
import Registry
import Samples
import Synchronization

/// Makes one wish after the other on VIMs of its own.
struct LoadCaller {
    /// How many wishes were not granted, of all callers.
    static let failureCount = Atomic<Int>(0)

    let name: String
    let conductor: Conductor
    var random: SeededGenerator
    private var own: [VIM] = []
    private var staleActions: [(id: VIMID, actionID: MonitorActionID)] = []
    private var wishCount = 0

    init(name: String, conductor: Conductor, random: SeededGenerator) {
        (self.name, self.conductor, self.random) = (name, conductor, random)
    }

    /// Makes so many wishes; 0 means for ever.
    mutating func work(_ count: Int) async {
        while count == 0 || wishCount < count {
            wishCount += 1
            do throws(CommandFailure) { try await wish() } catch { LoadCaller.complain(error.sentence) }
        }
    }

    /// Says why a wish was not granted.
    static func complain(_ sentence: String) {
        failureCount.add(1, ordering: .relaxed)
        say(sentence, to: STDERR_FILENO)
    }

    private mutating func wish() async throws(CommandFailure) {
        let dice = wishCount == 1 || own.isEmpty ? 0 : Int.random(in: 0..<20, using: &random)
        switch dice {
        case 0..<3: try await register()
        case 3..<8: try await update()
        case 8: try await deregister()
        case 9..<13 where !staleActions.isEmpty:
            let (id, actionID) = staleActions[Int.random(in: 0..<staleActions.count, using: &random)]
            try await report(id, actionID, expecting: .badAction)
        default:
            let vim = own[Int.random(in: 0..<own.count, using: &random)]
            try await report(vim.id, vim.actionID, expecting: nil)
        }
    }

    private mutating func register() async throws(CommandFailure) {
        let wanted = NewVIM(
            tenantID: "default", type: .openstack, name: "\(name)-\(wishCount)", description: "new",
            authURL: "http://127.0.0.1:1/v3", project: JSONText(#"{"name":"nfv"}"#),
            credentials: PlainCredentials(
                whole: JSONText(#"{"password":"secret"}"#), masked: JSONText(#"{"password":"***"}"#)))
        let vim = try await conductor.register(wanted, actor: Actor(userName: name))
        own.append(vim)
        acknowledge(.registered, vim, word: "new")
    }

    /// Every other update names a new endpoint, and so makes the action stale.
    private mutating func update() async throws(CommandFailure) {
        let index = Int.random(in: 0..<own.count, using: &random)
        let before = own[index]
        var edit = VIMEdit()
        edit.description = "wish-\(wishCount)"
        if Bool.random(using: &random) { edit.authURL = "http://127.0.0.1:1/\(wishCount)" }
        let vim = try await conductor.update(
            before.id, expectedVersion: before.version, edit: edit, actor: Actor(userName: name))
        if vim.actionID != before.actionID { staleActions.append((before.id, before.actionID)) }
        own[index] = vim
        acknowledge(.updated, vim, word: "wish-\(wishCount)")
    }

    private mutating func deregister() async throws(CommandFailure) {
        let before = own.remove(at: Int.random(in: 0..<own.count, using: &random))
        do throws(CommandFailure) {
            let vim = try await conductor.deregister(before.id, actor: Actor(userName: name))
            staleActions.append((before.id, before.actionID))
            acknowledge(.deregistered, vim, word: vim.configuration.description)
        } catch {
            own.append(before)
            throw error
        }
    }

    private func report(
        _ id: VIMID, _ actionID: MonitorActionID, expecting wanted: ReportAnswer?
    ) async throws(CommandFailure) {
        let status: VIMStatus = wishCount.isMultiple(of: 3) ? .unreachable : .reachable
        let answer = try await conductor.updateVIM(id, status: status.word, actionID: actionID)
        if answer != wanted ?? .accepted(status) {
            LoadCaller.complain("the action \(actionID) of VIM \(id) was answered \(answer.word)")
        }
        guard let vim = conductor.vim(id) else { return LoadCaller.complain("VIM \(id) is gone") }
        acknowledge(.reported, vim, actionID: actionID, word: answer.word)
    }

    /// The VIM is this caller's alone, so its stream ends with what was just answered.
    private func acknowledge(
        _ kind: Acknowledgement.Kind, _ vim: VIM, actionID: MonitorActionID? = nil, word: String
    ) {
        let position = conductor.read { $0.lastPosition(inStream: vim.stream) }
        let promise = Acknowledgement(
            kind, vim.id, at: position, actionID: actionID ?? vim.actionID, version: vim.version, word: word)
        LoadCaller.say(promise.line, to: STDOUT_FILENO)
    }

    private static func say(_ line: String, to descriptor: Int32) {
        let bytes = Array((line + "\n").utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { exit(3) }
    }
}
