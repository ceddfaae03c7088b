import Conductor
import EventLog
import PairProtocol
import PairWire
import Projections
import Synchronization

/// Why this node takes nothing from its peer for now.
///
/// What it could not store it would be sent again at once, and meanwhile the leader would wait for it. So the
/// link is refused in words that the peer hears, too; the leader goes on alone.
struct PeerRefusal: Sendable {
    /// The peer's log: another one may be followed.
    var peer: LogIdentity
    /// True on both sides.
    var sentence: String
    /// When it may try again; nil where only another version of this node, or of its log, helps.
    var end: Duration?

    /// A full disk may have room again, and what was damaged on its way may come whole.
    static let pause: Duration = .seconds(5)
}

extension RunningNode {
    /// Why this node and its peer have no link; nil while they have one, and before either was seen.
    var trouble: String? { refusal.withLock { $0?.sentence } ?? link.trouble }

    /// Why this node does not want that peer; nil if it does.
    func refusal(of peer: PairGreeting) -> String? {
        if let enclosure = PeerEnclosure(bytes: peer.enclosure), enclosure.wantsCopy == true {
            giver.bring(to: peer.hostName)
            return "\(Conductor.hostName) brings \(peer.hostName) a copy of its log first"
        }
        let now = RunningNode.now
        let sentence = refusal.withLock { refusal -> String? in
            guard let known = refusal, known.peer == peer.identity, known.end.map({ now < $0 }) ?? true else {
                refusal = nil
                return nil
            }
            return known.sentence
        }
        // It goes on handing its callers to the leader.
        if sentence != nil { lastPeer.withLock { $0 = PeerEnclosure(bytes: peer.enclosure) ?? $0 } }
        return sentence
    }

    /// Refuses the leader whose batches could not be stored, before the node ends the session.
    func refusePeer(because fault: PairFault) {
        guard let peer = link.peerGreeting, state.withLock({ $0.core.epochLed == nil }) else { return }
        // It travels as the text of one line, which is not to be longer than the wire takes.
        let words = fault.sentence.unicodeScalars.filter { $0.properties.generalCategory != .control }
        refuse(
            peer,
            because: "\(Conductor.hostName) takes nothing from \(peer.hostName) for now: "
                + String(String.UnicodeScalarView(words.prefix(400))),
            until: fault.isLasting ? nil : RunningNode.now + PeerRefusal.pause)
    }

    /// Refuses a peer from now on, in a sentence that is true on both sides.
    func refuse(_ peer: PairGreeting, because sentence: String, until end: Duration?) {
        refusal.withLock { $0 = PeerRefusal(peer: peer.identity, sentence: sentence, end: end) }
    }

    /// Whether the table could take in what is about to be stored, and so a restart, too.
    func rehearse(_ batch: BatchView, _ rehearsal: inout Rehearsal) throws(TravelError) {
        do throws(ProjectionFault) {
            try table.withLock { (table) throws(ProjectionFault) in try rehearsal.take(batch, on: table) }
        } catch { throw .unknown(position: error.position, what: error.sentence) }
    }

    /// A travelling batch's fault as one of the pair: what this version does not know, it never will.
    func fault(_ error: TravelError) -> PairFault {
        guard let unknown = error.unknownPart, let peer = link.peerGreeting else {
            return PairFault(error.sentence)
        }
        let own = Conductor.hostName
        return PairFault(
            "\(own) (version \(options.version)) does not know what \(peer.hostName) (version "
                + "\(peer.programVersion)) writes, and stores nothing of it: \(unknown); upgrade \(own)",
            isLasting: true)
    }
}
