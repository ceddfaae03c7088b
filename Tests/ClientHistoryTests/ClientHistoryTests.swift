// Starts nothing; holds small histories against small logs.
import ClientHistory
import Testing

/// A VIM that is registered, moved and deregistered, with reports of both its actions.
private let log = [
    LoggedEvent(1, "", .other),
    LoggedEvent(2, "v", .registered(name: "one", description: "one")),
    LoggedEvent(3, "v", .assigned(action: "a")),
    LoggedEvent(4, "v", .reported(action: "a", status: "REACHABLE", isAccepted: true, number: 1)),
    LoggedEvent(5, "v", .updated(description: "two")),
    LoggedEvent(6, "v", .assigned(action: "b")),
    LoggedEvent(7, "v", .reported(action: "a", status: "REACHABLE", isAccepted: false, number: 2)),
    LoggedEvent(8, "v", .reported(action: "b", status: "UNREACHABLE", isAccepted: true, number: 3)),
    LoggedEvent(9, "v", .deregistered),
    LoggedEvent(10, "v", .reported(action: "b", status: "REACHABLE", isAccepted: false, number: 4)),
]

private func call(_ began: Int, _ ended: Int, _ wish: Wish, _ answer: Answer) -> Call {
    Call(wish, answer, began: .seconds(began), ended: .seconds(ended))
}

private func report(_ action: String, _ status: String = "REACHABLE", number: Int) -> Wish {
    .report(vim: "v", action: action, status: status, number: number)
}

private let register = call(0, 1, .register(name: "one"), .registered(vim: "v"))
private let update = call(4, 5, .update(vim: "v", description: "two"), .done)

/// What the log above explains, one call after the other.
private let sound = [
    register,
    call(2, 3, report("a", number: 1), .told("REACHABLE")),
    update,
    call(6, 7, report("a", number: 2), .told("bad_action")),
    call(8, 9, report("b", "UNREACHABLE", number: 3), .told("UNREACHABLE")),
    call(10, 11, .show(vim: "v"), .shown("two")),
    call(12, 13, .deregister(vim: "v"), .done),
    call(14, 15, report("b", number: 4), .told("bad_action")),
    call(16, 17, .show(vim: "v"), .absent),
]

@Suite("The history of a pair's callers")
struct ClientHistoryTests {
    @Test("What the log's order explains is in order, also with the calls noted in any order")
    func explained() {
        #expect(ClientHistory(sound).violations(in: log) == [])
        #expect(ClientHistory(sound.reversed()).violations(in: log) == [])
    }

    @Test("Calls that overlap may have happened in either order")
    func overlapping() {
        // Told the old state while the update was under way, and the new one before it was answered.
        for shown in ["one", "two"] {
            let calls = [
                register, call(2, 8, .update(vim: "v", description: "two"), .done),
                call(3, 4, .show(vim: "v"), .shown(shown)),
                call(3, 7, report("a", number: 1), .told("REACHABLE")),
                call(3, 7, report("a", number: 2), .told("bad_action")),
            ]
            #expect(ClientHistory(calls).violations(in: log) == [])
        }
    }

    @Test("What nobody was told may be in the log or not")
    func unknown() {
        let calls = [
            register, call(2, 3, .update(vim: "v", description: "two"), .unknown),
            call(4, 5, .update(vim: "v", description: "three"), .unknown),
            call(6, 7, .show(vim: "v"), .shown("one")), call(8, 9, .show(vim: "v"), .shown("two")),
        ]
        #expect(ClientHistory(calls).violations(in: log) == [])
    }

    @Test("A report that was delivered twice may be answered by either judgement")
    func deliveredTwice() {
        let again =
            log + [
                LoggedEvent(
                    11, "v", .reported(action: "a", status: "REACHABLE", isAccepted: false, number: 1))
            ]
        for answer in ["REACHABLE", "bad_action"] {
            let calls = [register, call(2, 9, report("a", number: 1), .told(answer)), update]
            #expect(ClientHistory(calls).violations(in: again) == [])
        }
    }

    @Test(
        "An acknowledged write that the log lacks is lost",
        arguments: [
            call(20, 21, .register(name: "other"), .registered(vim: "w")),
            call(20, 21, .update(vim: "v", description: "three"), .done),
            call(20, 21, .deregister(vim: "w"), .done),
            call(20, 21, report("b", number: 5), .told("bad_action")),
        ])
    func lost(_ call: Call) { expect(.lost, call) }

    @Test("A write that lies before what was answered before it began is moved")
    func moved() {
        // The update is answered, and only then the report begins that the log has before it.
        expect(
            .moved, call(6, 7, report("a", number: 2), .told("bad_action")),
            in: [
                register, call(4, 5, report("b", "UNREACHABLE", number: 3), .told("UNREACHABLE")),
            ])
        expect(.moved, call(20, 21, .update(vim: "v", description: "two"), .done), in: [register, sound[4]])
        // A read counts, too: it showed what came later.
        expect(
            .moved, call(4, 5, report("a", number: 2), .told("bad_action")),
            in: [
                register, call(2, 3, .show(vim: "v"), .absent), call(2, 3, .deregister(vim: "v"), .done),
            ])
    }

    @Test("A status for an action whose successor was acknowledged before the call began is stale")
    func staleReport() {
        let late = call(6, 7, report("a", number: 1), .told("REACHABLE"))
        expect(.stale, late, in: [register, update])
        // The successor was seen by a reader, though its caller was never told.
        expect(.stale, late, in: [register, call(4, 5, .show(vim: "v"), .shown("two"))])
        let last = call(14, 15, report("b", "UNREACHABLE", number: 3), .told("UNREACHABLE"))
        expect(.stale, last, in: [register, update, sound[6]])
    }

    @Test("A read that shows what was overwritten, or nothing of what is there, is stale")
    func staleRead() {
        expect(.stale, call(6, 7, .show(vim: "v"), .shown("one")), in: [register, update])
        expect(.stale, call(2, 3, .update(vim: "v", description: "two"), .absent), upTo: 8)
        // A later reader was shown less than an earlier one.
        let earlier = call(2, 3, .show(vim: "v"), .shown("two"))
        expect(.stale, call(4, 5, .show(vim: "v"), .shown("one")), in: [register, earlier])
    }

    @Test(
        "An answer that no order gives is wrong",
        arguments: [
            // Refused though wanted, taken though not wanted, of another VIM, never there.
            call(2, 3, report("a", number: 1), .told("bad_action")),
            call(2, 3, report("a", number: 2), .told("REACHABLE")),
            call(2, 3, report("b", "UNREACHABLE", number: 3), .told("REACHABLE")),
            call(2, 3, .update(vim: "w", description: "two"), .done),
            call(2, 3, .register(name: "one"), .registered(vim: "w")),
            call(2, 3, .show(vim: "v"), .shown("three")),
            call(2, 3, .show(vim: "v"), .done),
        ])
    func wrong(_ call: Call) { expect(.wrong, call) }

    @Test("A log that judges a report against its own assignments is wrong")
    func wrongLog() {
        var other = log
        other[6].fact = .reported(action: "a", status: "REACHABLE", isAccepted: true, number: 2)
        let calls = [register, call(2, 9, report("a", number: 2), .told("REACHABLE"))]
        #expect(ClientHistory(calls).violations(in: other).map(\.kind) == [.wrong])
        other[3].fact = .reported(action: "a", status: "REACHABLE", isAccepted: false, number: 1)
        let refused = [register, call(2, 9, report("a", number: 1), .told("bad_action"))]
        #expect(ClientHistory(refused).violations(in: other).map(\.kind) == [.wrong])
    }

    @Test("The longest silence reaches from one answer to the next, and to the edges")
    func silence() {
        let history = ClientHistory([
            call(0, 2, .show(vim: "v"), .absent), call(0, 3, .show(vim: "v"), .unknown),
            call(1, 4, .show(vim: "v"), .absent), call(1, 9, .deregister(vim: "v"), .done),
        ])
        #expect(history.longestSilence(from: .zero, to: .seconds(10)) == .seconds(5))
        #expect(history.longestSilence(from: .zero, to: .seconds(8)) == .seconds(4))
        #expect(
            history.longestSilence(from: .zero, to: .seconds(10), of: \.isAcknowledgedWrite) == .seconds(9))
    }

    /// The checker says this of the call, and nothing of the others.
    private func expect(
        _ kind: Violation.Kind, _ call: Call, in others: [Call] = [register], upTo end: Int = 10,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let violations = ClientHistory(others + [call]).violations(in: Array(log.prefix(end)))
        #expect(violations.map(\.kind) == [kind], "\(violations)", sourceLocation: sourceLocation)
        #expect(violations.map(\.call) == [call], sourceLocation: sourceLocation)
    }
}
