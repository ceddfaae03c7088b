package import EventLog
package import Projections
package import Registry

/// Someone outside who remembers how far a log had come and holds it to what was promised since.
package struct Witness {
    /// The registry as of the head.
    package private(set) var table = VIMTable()
    /// The last place seen.
    package private(set) var head = Head.none
    /// Actions that are no longer wanted, whose VIMs were seen to change since the list was last taken.
    package var staleActions: [(id: VIMID, actionID: MonitorActionID)] = []
    private var wantedActions: [VIMID: MonitorActionID] = [:]

    package init() {}

    /// Takes in what the log has beyond what was seen; returns sentences about broken promises.
    ///
    /// The log must extend what was seen under an unbroken chain of seals, and every promise must be kept by
    /// the event at its position.
    ///
    /// - Parameter promises: in the order in which the answers came; those of one VIM must ascend.
    package mutating func follow(_ log: EventLog, promises: [Acknowledgement]) throws -> [String] {
        var broken: [String] = []
        try skipDropped(of: log)
        guard try log.head(at: head.position).seal == head.seal else {
            return ["the history up to position \(head.position) is another one"]
        }
        var open: [UInt64: Acknowledgement] = [:]
        var newest: [VIMID: UInt64] = [:]
        for promise in promises {
            if promise.position <= max(head.position, newest[promise.id] ?? 0) {
                broken.append("the answer with position \(promise.position) came out of order")
            }
            newest[promise.id] = promise.position
            open[promise.position] = promise
        }
        do throws(ReadError<ProjectionFault>) {
            try log.readBatches(from: head.position + 1, verifyingSeals: true) {
                (batch) throws(ProjectionFault) -> Bool in
                try takeIn(batch, &open, &broken)
                return true
            }
        } catch {
            switch error {
            case .log(let error): broken.append(error.sentence)
            case .body(let fault): broken.append("position \(fault.position): \(fault.sentence)")
            }
        }
        for promise in open.values {
            broken.append("lost at \(promise.position), the head is \(head.position): \(promise.line)")
        }
        return broken
    }

    /// What was dropped can be held to nothing; what stands for it is where the rest goes on.
    private mutating func skipDropped(of log: EventLog) throws {
        guard let dropped = try log.droppedPart(), dropped.lastPosition > head.position else { return }
        head = try log.head(at: dropped.lastPosition)
        table = try Replay(of: log, upTo: head.position).table
    }

    private mutating func takeIn(
        _ batch: BatchView, _ open: inout [UInt64: Acknowledgement], _ broken: inout [String]
    ) throws(ProjectionFault) {
        do throws(WalkError<ProjectionFault>) {
            try batch.forEachEvent { (event) throws(ProjectionFault) -> Bool in
                try table.apply(event)
                let placed: PlacedEvent
                do throws(PayloadFault) { placed = try PlacedEvent(event) } catch {
                    throw ProjectionFault(position: event.position, "\(error)")
                }
                note(placed)
                if let promise = open.removeValue(forKey: event.position),
                    let sentence = promise.difference(from: placed, in: table)
                {
                    broken.append(sentence)
                }
                return true
            }
        } catch {
            switch error {
            case .body(let fault): throw fault
            case .format(let fault): throw ProjectionFault(position: batch.firstPosition, fault.sentence)
            }
        }
        head = Head(
            position: batch.lastPosition, seal: batch.header.seal, time: batch.header.time,
            epoch: batch.header.epoch)
    }

    private mutating func note(_ placed: PlacedEvent) {
        guard let id = table.vimID(ofStream: placed.stream) else { return }
        switch placed.event {
        case .vimMonitorAssigned(let assigned):
            if let before = wantedActions[id] { staleActions.append((id, before)) }
            wantedActions[id] = assigned.actionID
        case .vimDeregistered:
            if let last = wantedActions.removeValue(forKey: id) { staleActions.append((id, last)) }
        default: break
        }
    }
}
