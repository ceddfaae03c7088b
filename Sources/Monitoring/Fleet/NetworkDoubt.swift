/// Whether failures can be believed, or whether it is this machine's own network that is gone.
///
/// Endpoints (host and port) are counted, not VIMs: many VIMs on one dead endpoint are one failure. When at
/// least ``populationMin`` endpoints are believed alive, a failing endpoint is doubted as long as
///
/// - it is not the only one that fails, and
/// - no other endpoint answered a probe that began after this one's failures did.
///
/// That is "most of those that answered before fail at once", seen early: after the own network is lost the
/// failures come in one by one as probes fall due, and the first of them must not raise an alarm while the
/// rest has not been asked. The first answer from any other endpoint proves the network; the failing
/// endpoint then has to fail once more, in a probe begun after that proof.
package struct NetworkDoubt: Sendable {
    /// Below this many living endpoints nothing is doubted: too few to tell.
    package static let populationMin = 10

    /// What is known of one endpoint, by its dense number.
    private struct Endpoint: Sendable {
        var state = State.unknown
        /// When the first probe of the present failures began.
        var failingSince = Moment.never
    }

    private enum State: UInt8, Sendable {
        /// It has never answered.
        case unknown
        /// Its newest result is an answer.
        case alive
        /// It answered before and fails now.
        case suspect
        /// It was told unreachable.
        case dead
    }

    private var endpoints: [Endpoint] = []
    private var aliveCount = 0
    private var suspectCount = 0
    /// The two newest answers of different endpoints, by the beginning of their probes.
    private var newest: (endpoint: UInt32, began: Moment) = (.max, Moment(microseconds: .min))
    private var second: (endpoint: UInt32, began: Moment) = (.max, Moment(microseconds: .min))

    package init() {}

    /// The endpoint is watched from now on; saying so twice changes nothing.
    package mutating func join(_ endpoint: UInt32, isBelievedAlive: Bool) {
        while endpoints.count <= Int(endpoint) { endpoints.append(Endpoint()) }
        if isBelievedAlive, endpoints[Int(endpoint)].state == .unknown { move(endpoint, to: .alive) }
    }

    /// The endpoint is watched no longer; its number may come to mean another.
    package mutating func leave(_ endpoint: UInt32) { move(endpoint, to: .unknown) }

    /// The endpoint answered a probe that began then.
    package mutating func answered(_ endpoint: UInt32, began: Moment) {
        move(endpoint, to: .alive)
        if newest.endpoint == endpoint {
            newest.began = max(newest.began, began)
        } else if began >= newest.began {
            second = newest
            newest = (endpoint, began)
        } else if began > second.began {
            second = (endpoint, began)
        }
    }

    /// The endpoint failed a probe that began then.
    package mutating func failed(_ endpoint: UInt32, began: Moment) {
        guard endpoints[Int(endpoint)].state == .alive else { return }
        move(endpoint, to: .suspect)
        endpoints[Int(endpoint)].failingSince = began
    }

    /// The endpoint was told unreachable: from now on it says nothing about the own network.
    package mutating func wasTold(_ endpoint: UInt32) { move(endpoint, to: .dead) }

    /// When the newest probe began that another endpoint answered; to be noted as a probe begins.
    package func proof(for endpoint: UInt32) -> Moment {
        newest.endpoint == endpoint ? second.began : newest.began
    }

    /// Whether a failure of this endpoint proves little.
    ///
    /// - Parameter proof: what ``proof(for:)`` said when the failed probe began.
    package func doubts(_ endpoint: UInt32, proof: Moment) -> Bool {
        let known = endpoints[Int(endpoint)]
        guard known.state == .suspect else { return false }
        return aliveCount + suspectCount >= NetworkDoubt.populationMin && suspectCount >= 2
            && proof <= known.failingSince
    }

    /// Whether the endpoint's newest result is an answer, so that it can bear witness.
    package func isAlive(_ endpoint: UInt32) -> Bool { endpoints[Int(endpoint)].state == .alive }

    private mutating func move(_ endpoint: UInt32, to state: State) {
        let old = endpoints[Int(endpoint)].state
        guard old != state else { return }
        endpoints[Int(endpoint)].state = state
        if state != .suspect { endpoints[Int(endpoint)].failingSince = .never }
        if old == .alive { aliveCount -= 1 }
        if old == .suspect { suspectCount -= 1 }
        if state == .alive { aliveCount += 1 }
        if state == .suspect { suspectCount += 1 }
    }
}
