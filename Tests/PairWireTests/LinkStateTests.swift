// Starts nothing.
import PairProtocol
import Samples
import Testing

@testable import PairWire

@Suite("What a link does about its two connections")
struct LinkStateTests {
    private func end(_ number: Int, of node: UInt64 = 2) -> LinkState.End {
        .init(number: number, identity: identity(node))
    }

    private func connected() -> LinkState {
        var state = LinkState()
        #expect(state.stands(dialled: end(1), at: .zero) == [])
        #expect(state.stands(accepted: end(2), at: .zero) == [.begin])
        return state
    }

    @Test("It stands when both do, in whichever order they come")
    func begins() {
        #expect(connected().isConnected)
        var state = LinkState()
        #expect(state.stands(accepted: end(1), at: .zero) == [])
        #expect(state.stands(dialled: end(2), at: .zero) == [.begin])
    }

    @Test("When one breaks the other is closed", arguments: [(1, 2), (2, 1)])
    func falls(broken: Int, other: Int) {
        var state = connected()
        #expect(
            state.closed(broken, at: .seconds(9)) == [
                .end, .close(other), .dial(after: .milliseconds(50)),
            ])
        #expect(state.closed(other, at: .seconds(9)) == [])
        #expect(!state.isConnected && state.dialled == nil && state.accepted == nil)
    }

    @Test("The peer's newest connection counts, and the link begins anew with it")
    func replaced() {
        var state = connected()
        #expect(
            state.stands(accepted: end(3), at: .seconds(9)) == [
                .end, .close(1), .close(2), .dial(after: .milliseconds(50)),
            ])
        #expect(state.stands(dialled: end(4), at: .seconds(9)) == [.begin])
        var waiting = LinkState()
        #expect(waiting.stands(accepted: end(1), at: .zero) == [])
        #expect(waiting.stands(accepted: end(2), at: .zero) == [.close(1)])
    }

    @Test("Who answers at the peer's address is the peer; another node that speaks is not")
    func other() {
        var state = LinkState()
        #expect(state.stands(accepted: end(1, of: 7), at: .zero) == [])
        #expect(state.stands(dialled: end(2), at: .zero) == [.close(1)])
        #expect(!state.mayAccept(identity(7)) && state.mayAccept(identity(2)))
        #expect(state.stands(accepted: end(3), at: .zero) == [.begin])
        #expect(LinkState().mayAccept(identity(7)))
    }

    @Test("Pauses grow to a second; only a link that stood for one makes them short again")
    func pauses() {
        var state = LinkState()
        let pauses = [50, 100, 200, 400, 800, 1_000, 1_000]
        for pause in pauses {
            #expect(state.failed(isUnreachable: true) == [.dial(after: .milliseconds(pause))])
        }
        _ = state.stands(dialled: end(1), at: .zero)
        _ = state.stands(accepted: end(2), at: .zero)
        #expect(state.drop(at: .milliseconds(999)).last == .dial(after: .seconds(1)))
        _ = state.stands(dialled: end(3), at: .zero)
        _ = state.stands(accepted: end(4), at: .zero)
        #expect(state.drop(at: .milliseconds(1_000)).last == .dial(after: .milliseconds(50)))
        #expect(state.drop(at: .seconds(9)) == [])
        for _ in 0..<100 { _ = state.failed(isUnreachable: true) }
        #expect(state.failed(isUnreachable: true) == [.dial(after: .seconds(1))])
    }

    @Test("A peer that comes is dialled at once if nobody had answered, and once only")
    func comesBack() {
        var state = LinkState()
        _ = state.failed(isUnreachable: true)
        #expect(state.stands(accepted: end(1), at: .zero) == [.dial(after: .zero)])
        #expect(state.stands(accepted: end(2), at: .zero) == [.close(1)])
        _ = state.failed(isUnreachable: false)
        #expect(state.stands(accepted: end(3), at: .zero) == [.close(2)])
    }

    @Test("Two links that lose, replace and dial connections in any order stand in the end")
    func converges() {
        var random = SeededGenerator(seed: runSeed)
        for _ in 0..<2_000 {
            var links = TwoLinks()
            let stands = links.standsInTheEnd(using: &random)
            #expect(stands, "SEED=\(runSeed)")
        }
    }
}

/// Two links and the connections between them, whose news come late and in any order.
private struct TwoLinks {
    private enum News {
        case dials(node: Int)
        case stands(node: Int, number: Int)
        case closed(node: Int, number: Int)
    }

    private var states = [LinkState(), LinkState()]
    private var news: [News] = [.dials(node: 0), .dials(node: 1)]
    /// Who dialled a connection.
    private var dialler: [Int: Int] = [:]
    /// Those that nobody has closed.
    private var open: Set<Int> = []
    /// Those that a node has neither closed nor heard to be closed.
    private var known: [Set<Int>] = [[], []]

    mutating func standsInTheEnd(using random: inout some RandomNumberGenerator) -> Bool {
        for _ in 0..<60 {
            if Int.random(in: 0..<10, using: &random) == 0, let number = open.randomElement(using: &random) {
                close(number, by: nil)
            }
            takeAny(using: &random)
        }
        for _ in 0..<10_000 where !news.isEmpty { takeAny(using: &random) }
        return news.isEmpty && states.allSatisfy(\.isConnected)
            && states[0].dialled?.number == states[1].accepted?.number
            && states[1].dialled?.number == states[0].accepted?.number
    }

    private mutating func takeAny(using random: inout some RandomNumberGenerator) {
        guard let index = news.indices.randomElement(using: &random) else { return }
        switch news.remove(at: index) {
        case .dials(let node):
            let number = dialler.count
            dialler[number] = node
            open.insert(number)
            for node in 0...1 { known[node].insert(number) }
            news.append(.stands(node: 1 - node, number: number))
        case .stands(let node, let number):
            guard known[node].contains(number), open.contains(number) else { return }
            let end = LinkState.End(number: number, identity: identity(UInt64(1 - node)))
            if dialler[number] == node {
                perform(states[node].stands(dialled: end, at: .zero), node)
            } else {
                perform(states[node].stands(accepted: end, at: .zero), node)
                news.append(.stands(node: 1 - node, number: number))
            }
        case .closed(let node, let number):
            guard known[node].remove(number) != nil else { return }
            let stood = [states[node].dialled?.number, states[node].accepted?.number].contains(number)
            if stood {
                perform(states[node].closed(number, at: .zero), node)
            } else if dialler[number] == node {
                perform(states[node].failed(isUnreachable: false), node)
            }
        }
    }

    private mutating func perform(_ steps: [LinkState.Step], _ node: Int) {
        for step in steps {
            switch step {
            case .close(let number): close(number, by: node)
            case .dial:
                // A new time to dial takes the place of the old one.
                news.removeAll { if case .dials(node) = $0 { true } else { false } }
                news.append(.dials(node: node))
            case .begin, .end: break
            }
        }
    }

    private mutating func close(_ number: Int, by closer: Int?) {
        if let closer { known[closer].remove(number) }
        guard open.remove(number) != nil else { return }
        for node in 0...1 where node != closer { news.append(.closed(node: node, number: number)) }
    }
}
