// Starts nothing; a ledger that finds no difference would let every other test here pass.
import Testing

@Suite("The ledger of acknowledged answers")
struct LedgerTests {
    @Test("A lost registration, a lost version and a deletion undone are found")
    func finds() {
        let ledger = Ledger()
        ledger.acknowledgeRegistration("a", "1")
        #expect(ledger.differences(from: ["a": "1"]).isEmpty)
        #expect(ledger.differences(from: [:]) == ["a: acknowledged as '1', but it is gone"])

        ledger.acknowledgeRegistration("b", "1")
        ledger.begin(.update("2"), "b")
        ledger.acknowledge("b")
        #expect(ledger.differences(from: ["b": "1"]) == ["b: acknowledged as '2', but found as '1'"])

        ledger.begin(.delete, "b")
        ledger.acknowledge("b")
        #expect(
            ledger.differences(from: ["b": "1"])
                == ["b: its deletion was acknowledged, but it is there as '1'"])
        #expect(ledger.received.total == 4)
    }

    @Test("What was on its way may have happened or not; a third thing may not")
    func openWishes() {
        let update = Ledger.Entry(acknowledged: "1", open: .update("2"))
        #expect(Ledger.difference(update, "1") == nil)
        #expect(Ledger.difference(update, "2") == nil)
        #expect(Ledger.difference(update, "3") != nil)
        #expect(Ledger.difference(update, nil) != nil)
        let delete = Ledger.Entry(acknowledged: "1", open: .delete)
        #expect(Ledger.difference(delete, "1") == nil)
        #expect(Ledger.difference(delete, nil) == nil)
        #expect(Ledger.difference(delete, "2") != nil)
    }
}
