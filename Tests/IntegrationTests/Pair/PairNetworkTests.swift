// Starts: network namespaces, a real etcd of three members, RabbitMQ, two `vedette serve --pair`, HAProxy;
// breaks each.
//
// Callers register, change, show and deregister VIMs and report on them, at either node and at HAProxy, while
// the faults of PairFault come one after the other (PAIR_FAULTS says how many times each). At the end the
// callers' history is held against the log that survived.
import ClientHistory
import Foundation
import Harness
import Testing

@Suite("A pair on a network of its own", .serialized)
struct PairNetworkTests {
    @Test("Whatever fails, nothing acknowledged is lost, and no answer is one that was overtaken")
    func faults() async throws {
        let rounds = ProcessInfo.processInfo.environment["PAIR_FAULTS"].flatMap(Int.init) ?? 1
        try await withPairSite { site in
            var table = FaultTable(recorder: site.callers.recorder)
            try await site.callers.run {
                table.begin("none")
                try await site.callers.waitForMore(100)
                for _ in 0..<rounds {
                    for fault in PairFault.allCases {
                        // Tells which one it was if nothing follows.
                        print("PairNetworkTests: \(fault.rawValue)")
                        table.begin(fault.rawValue)
                        try await site.undergo(fault)
                    }
                }
                table.end()
            }
            try await site.waitForSync(2)
            let log = try await site.survivingLog()
            let history = site.callers.recorder.history
            let violations = history.violations(in: log)
            print(table.text(history, violations))
            // There was something to lose, and actions whose time was over did report.
            #expect(history.calls.count { $0.answer == .told("bad_action") } > 50)
            #expect(history.calls.count { $0.answer == .absent } > 50)
            for violation in violations.prefix(20) { Issue.record("\(violation)") }
            let violationCount = violations.count
            #expect(violationCount == 0)
        }
    }
}
