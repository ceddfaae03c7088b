import Registry

/// What the reconciler does now and what waits for room, at most one piece of work a VIM: pure.
///
/// No VIM waits for another's work. Who is changed while something is done for it is looked at again when
/// that has ended. Launches have a lane of their own, so that a backend that can start nothing, and lets
/// every launch run into its time limit, still stops what is not wanted.
struct Workload {
    private struct Lane {
        var inHand: Set<VIMID> = []
        var waiting: [VIMID: Reconciliation.Work] = [:]

        mutating func begin(atMost countMax: Int) -> [Reconciliation.Work] {
            var begun: [Reconciliation.Work] = []
            while inHand.count < countMax, let next = waiting.popFirst() {
                inHand.insert(next.key)
                begun.append(next.value)
            }
            return begun
        }
    }

    private var launches = Lane()
    private var others = Lane()
    /// Changed while something was done for them.
    private var unlooked: Set<VIMID> = []

    /// Whether something is being done for a VIM, so that what a backend shows of it may be out of date.
    func isInHand(_ vimID: VIMID) -> Bool {
        launches.inHand.contains(vimID) || others.inHand.contains(vimID)
    }

    /// The VIM has changed: it must be looked at as soon as nothing is in hand for it.
    mutating func mustLookAgain(at vimID: VIMID) { unlooked.insert(vimID) }

    /// Takes in what is to be done for some VIMs, or for all if nil, instead of what waited for them.
    mutating func plan(_ work: [Reconciliation.Work], for vims: [VIMID]?) {
        if let vims {
            for vimID in vims { forget(vimID) }
        } else {
            forgetWaiting()
        }
        for item in work {
            precondition(!isInHand(item.vimID), "a VIM is worked on twice at once")
            if case .launch? = item.step {
                launches.waiting[item.vimID] = item
            } else {
                others.waiting[item.vimID] = item
            }
        }
    }

    /// What there is room for now: it is in hand from here until it has ``ended(_:)``.
    ///
    /// - Parameter callMax: so many launches, and so many pieces of other work, at once.
    mutating func begin(callMax: Int) -> [Reconciliation.Work] {
        others.begin(atMost: callMax) + launches.begin(atMost: callMax)
    }

    /// Nothing is in hand for a VIM any more; whether it must be looked at again.
    mutating func ended(_ vimID: VIMID) -> Bool {
        launches.inHand.remove(vimID)
        others.inHand.remove(vimID)
        return unlooked.remove(vimID) != nil
    }

    /// Nothing waits any more: who needs something will be found again.
    mutating func forgetWaiting() {
        launches.waiting = [:]
        others.waiting = [:]
    }

    private mutating func forget(_ vimID: VIMID) {
        launches.waiting[vimID] = nil
        others.waiting[vimID] = nil
    }
}
