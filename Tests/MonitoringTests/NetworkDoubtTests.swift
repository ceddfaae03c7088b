import Testing

@testable import Monitoring

@Suite("Doubt about the own network")
struct NetworkDoubtTests {
    private func population(_ count: UInt32) -> NetworkDoubt {
        var doubt = NetworkDoubt()
        for endpoint in 0..<count {
            doubt.join(endpoint, isBelievedAlive: false)
            doubt.answered(endpoint, began: at(Int64(endpoint)))
        }
        return doubt
    }

    @Test("One dead endpoint is never doubted, however many others there are")
    func single() {
        var doubt = population(100)
        let proof = doubt.proof(for: 7)
        doubt.failed(7, began: at(1_000))
        #expect(!doubt.doubts(7, proof: proof))
    }

    @Test("When those asked since all fail, each is doubted, the first ones too")
    func outage() {
        var doubt = population(20)
        for endpoint in 0..<5 as Range<UInt32> {
            let proof = doubt.proof(for: endpoint)
            doubt.failed(endpoint, began: at(1_000 + Int64(endpoint)))
            #expect(doubt.doubts(endpoint, proof: proof) == (endpoint > 0))
        }
        #expect(doubt.doubts(0, proof: doubt.proof(for: 0)))
    }

    @Test("Fewer than ten living endpoints are too few to tell")
    func tooFew() {
        var doubt = population(9)
        for endpoint in 0..<9 as Range<UInt32> { doubt.failed(endpoint, began: at(1_000)) }
        #expect(!doubt.doubts(0, proof: doubt.proof(for: 0)))
        #expect(!doubt.doubts(8, proof: doubt.proof(for: 8)))
    }

    @Test("Any other endpoint that answers proves the network, for probes begun after that")
    func proven() {
        var doubt = population(20)
        let early = doubt.proof(for: 0)
        for endpoint in 0..<15 as Range<UInt32> { doubt.failed(endpoint, began: at(1_000)) }
        doubt.answered(19, began: at(2_000))
        #expect(doubt.doubts(0, proof: early))
        #expect(!doubt.doubts(0, proof: doubt.proof(for: 0)))
    }

    @Test("An answer to a probe that began before the failures proves nothing")
    func staleProof() {
        var doubt = population(20)
        doubt.failed(0, began: at(1_000))
        doubt.failed(1, began: at(1_000))
        doubt.answered(19, began: at(999))
        #expect(doubt.doubts(0, proof: doubt.proof(for: 0)))
    }

    @Test("An endpoint's own answer is no proof for itself")
    func ownAnswer() {
        var doubt = population(20)
        doubt.answered(3, began: at(500))
        #expect(doubt.proof(for: 3) == at(19))
        #expect(doubt.proof(for: 4) == at(500))
        doubt.answered(3, began: at(600))
        #expect(doubt.proof(for: 3) == at(19))
    }

    @Test("Endpoints that were told dead, that left, or that never answered do not count")
    func population() {
        var doubt = population(12)
        for endpoint in 0..<3 as Range<UInt32> {
            doubt.failed(endpoint, began: at(1_000))
            doubt.wasTold(endpoint)
        }
        doubt.join(50, isBelievedAlive: false)
        doubt.failed(50, began: at(1_000))
        doubt.failed(3, began: at(1_000))
        doubt.failed(4, began: at(1_000))
        #expect(!doubt.doubts(3, proof: doubt.proof(for: 3)))
        #expect(!doubt.doubts(50, proof: doubt.proof(for: 50)))
        var larger = population(12)
        larger.leave(11)
        larger.leave(10)
        larger.leave(9)
        larger.failed(0, began: at(1_000))
        larger.failed(1, began: at(1_000))
        #expect(!larger.doubts(0, proof: larger.proof(for: 0)))
    }

    @Test(
        "After a restart the endpoints believed alive count, so that a server without network raises no alarm"
    )
    func resumed() {
        var doubt = NetworkDoubt()
        for endpoint in 0..<10 as Range<UInt32> { doubt.join(endpoint, isBelievedAlive: true) }
        doubt.failed(0, began: at(0))
        doubt.failed(1, began: at(0))
        #expect(doubt.doubts(0, proof: doubt.proof(for: 0)))
    }

    @Test("Equal endpoints share a number, and a number is free when its last user is gone")
    func numbers() {
        var table = EndpointTable()
        let first = table.retain("a:1")
        #expect(table.retain("a:1") == first)
        #expect(table.retain("b:1") != first)
        #expect(table.release(first) == false)
        #expect(table.release(first) == true)
        #expect(table.retain("c:1") == first)
    }
}
