import AMQP
import ClientHistory
import Encodings
import Foundation
import Harness
import Logging
import OsloMessaging
import Synchronization

/// Callers of a pair at work, each of whose calls is noted.
///
/// They call whether or not the calls before were answered: what waits holds up nobody else. Some VIMs live
/// for a few calls; others stay, are moved again and again, and reported on, also by actions whose time is
/// over.
final class PairCallers: Sendable {
    static let patience = Duration.seconds(4)
    private static let lifePause = Duration.milliseconds(100)
    private static let reportPause = Duration.milliseconds(100)
    private static let movePause = Duration.milliseconds(300)
    private static let reportedCount = 4

    let recorder = HistoryRecorder()
    private let doors: [String]
    private let rpc: RPCClient
    private let reportCount = Atomic<Int>(0)
    private let isOver = Atomic<Bool>(false)

    /// - Parameters:
    ///   - doors: addresses of the pair's API, which are asked in turn.
    ///   - broker: over which actions report.
    init(doors: [String], broker: String) throws {
        self.doors = doors
        rpc = RPCClient(try BrokerURL(broker), name: "callers", logger: Logger(label: "callers"))
    }

    /// Calls beside `body`, and until the last call has ended.
    func run(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { connection in
            connection.addTask { await self.rpc.run() }
            try await withThrowingTaskGroup(of: Void.self) { callers in
                callers.addTask { await self.liveAndDie() }
                for number in 0..<PairCallers.reportedCount {
                    callers.addTask { await self.moveAndReport("reported-\(number)") }
                }
                defer { isOver.store(true, ordering: .relaxed) }
                try await body()
            }
            connection.cancelAll()
        }
    }

    /// Waits until so many writes over HTTP and so many reports that begin from now on are acknowledged.
    func waitForMore(_ count: Int = 20) async throws {
        let start = recorder.now
        try await eventually("\(count) more writes are acknowledged") {
            recorder.count(from: start) { $0.isAcknowledgedWrite && !$0.isReport } >= count
        }
        try await eventually("\(count) more reports are answered") {
            recorder.count(from: start) { $0.isAcknowledgedWrite && $0.isReport } >= count
        }
    }

    private var isGoingOn: Bool { !isOver.load(ordering: .relaxed) }

    // MARK: VIMs that come and go

    private func liveAndDie() async {
        await withDiscardingTaskGroup { lives in
            var number = 0
            while isGoingOn {
                number += 1
                lives.addTask { [number] in await self.live(number) }
                try? await Task.sleep(for: PairCallers.lifePause)
            }
        }
    }

    private func live(_ number: Int) async {
        guard case .registered(let vim) = await register("life-\(number)", at: number) else { return }
        guard await update(vim, to: "life-\(number)-later", at: number + 1) == .done else { return }
        _ = await show(vim, at: number + 2)
        // Half of them stay, so that there is something to lose.
        guard number.isMultiple(of: 2) else { return }
        _ = await deregister(vim, at: number)
        _ = await show(vim, at: number + 1)
    }

    // MARK: VIMs that are reported on

    private func moveAndReport(_ name: String) async {
        var attempt = 0
        while isGoingOn {
            attempt += 1
            guard case .registered(let vim) = await register("\(name)-\(attempt)", at: attempt) else {
                try? await Task.sleep(for: PairCallers.movePause)
                continue
            }
            let actions = KnownActions()
            await withDiscardingTaskGroup { tasks in
                tasks.addTask { await self.move(vim, name, actions) }
                while isGoingOn {
                    tasks.addTask { await self.report(on: vim, actions) }
                    try? await Task.sleep(for: PairCallers.reportPause)
                }
            }
        }
    }

    /// Gives the VIM new endpoints, and so new actions, and looks which.
    private func move(_ vim: String, _ name: String, _ actions: KnownActions) async {
        var number = 0
        while isGoingOn {
            number += 1
            if let action = await showAction(of: vim, at: number) { actions.learn(action) }
            _ = await update(
                vim, to: "\(name)-moved-\(number)", authURL: "http://127.0.0.1:9/\(number)", at: number + 1)
            try? await Task.sleep(for: PairCallers.movePause)
        }
    }

    private func report(on vim: String, _ actions: KnownActions) async {
        let number = reportCount.add(1, ordering: .relaxed).newValue
        guard let action = actions.one(number) else { return }
        let status = number.isMultiple(of: 2) ? "REACHABLE" : "UNREACHABLE"
        let wish = Wish.report(vim: vim, action: action, status: status, number: number)
        _ = await recorder.record(wish) {
            let answer = try await rpc.call(
                RPCTarget(exchange: "tacker", topic: "TACKER_CONDUCTOR"), "update_vim",
                [
                    "vim_id": .string(vim), "status": .string(status), "action_id": .string(action),
                    // The number is found again in the log.
                    "finding": ["reason": "answered", "microseconds": .integer(Int64(number))],
                ], version: RPCVersion(1, 1), timeout: PairCallers.patience)
            return .told(answer.string ?? "\(answer)")
        }
    }

    // MARK: Calls over HTTP

    private func register(_ name: String, at door: Int) async -> Answer {
        var vim = standInVIM(name, at: "http://127.0.0.1:9").object
        vim["description"] = .string(name)
        return await recorder.record(.register(name: name)) { [vim] in
            let reply = try await ask(.post, "/v1.0/vims", ["vim": .object(vim)], at: door)
            guard reply.status == 201, let id = try reply.json()["vim"]["id"].string else {
                return refusal(reply)
            }
            return .registered(vim: id)
        }
    }

    private func update(
        _ vim: String, to description: String, authURL: String? = nil, at door: Int
    ) async -> Answer {
        var changes: [String: JSON] = ["description": .string(description)]
        if let authURL { changes["auth_url"] = .string(authURL) }
        return await recorder.record(.update(vim: vim, description: description)) { [changes] in
            let reply = try await ask(.put, "/v1.0/vims/\(vim)", ["vim": .object(changes)], at: door)
            return reply.status == 200 ? .done : refusal(reply)
        }
    }

    private func deregister(_ vim: String, at door: Int) async -> Answer {
        await recorder.record(.deregister(vim: vim)) {
            let reply = try await ask(.delete, "/v1.0/vims/\(vim)", at: door)
            return reply.status == 204 ? .done : refusal(reply)
        }
    }

    private func show(_ vim: String, at door: Int) async -> Answer {
        await recorder.record(.show(vim: vim)) {
            shown(try await ask(.get, "/v1.0/vims/\(vim)", at: door))
        }
    }

    private func showAction(of vim: String, at door: Int) async -> String? {
        var action: String?
        _ = await recorder.record(.show(vim: vim)) {
            let reply = try await ask(.get, "/vedette/v1/vims/\(vim)", at: door)
            action = try reply.json()["vim"]["action_id"].string
            return shown(reply)
        }
        return action
    }

    private func ask(
        _ method: Method, _ path: String, _ body: JSON? = nil, at door: Int
    ) async throws -> Reply {
        try await Harness.ask(
            doors[door % doors.count], method, path, text: body?.text(), timeout: PairCallers.patience)
    }

    private func shown(_ reply: Reply) -> Answer {
        guard reply.status == 200, let vim = try? reply.json()["vim"] else { return refusal(reply) }
        return .shown(vim["description"].string ?? "")
    }

    /// That there is no such VIM is an answer; from 500 on nobody knows; and all else nobody here has
    /// deserved.
    private func refusal(_ reply: Reply) -> Answer {
        switch reply.status {
        case 404: .absent
        case 500...: .unknown
        default: .told("HTTP \(reply.status): \(reply.text)")
        }
    }
}

extension Call {
    var isReport: Bool { if case .report = wish { true } else { false } }
}

/// The actions of a VIM as its mover has seen them.
private final class KnownActions: Sendable {
    private let actions = Mutex<[String]>([])

    func learn(_ action: String) {
        actions.withLock { if $0.last != action { $0.append(action) } }
    }

    /// The newest known one, and now and then the one before.
    func one(_ number: Int) -> String? {
        actions.withLock { $0.count > 1 && number.isMultiple(of: 4) ? $0[$0.count - 2] : $0.last }
    }
}
