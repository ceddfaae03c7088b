import Testing

@testable import OsloMessaging

@Suite("Calls under way")
struct CallTableTests {
    @Test("The table is what a dictionary of the same calls is, and no id is used twice", arguments: 0..<20)
    func model(seed: UInt64) {
        var random = Seeded(state: seed)
        var table = CallTable<String>()
        var model: [ServerCore.CallID: String] = [:]
        var used: Set<ServerCore.CallID> = []
        for step in 0..<1_000 {
            // An id that was used, is used, or never was.
            let id = used.randomElement(using: &random) ?? 7
            switch random.next(upperBound: 4 as UInt64) {
            case 0:
                #expect(table.remove(id) == model.removeValue(forKey: id))
            case 1 where model[id] != nil:
                table[id] = "changed \(step)"
                model[id] = "changed \(step)"
            default:
                if model.count < 40 {
                    let new = table.add("\(step)")
                    #expect(used.insert(new).inserted)
                    model[new] = "\(step)"
                }
            }
            #expect(table[id] == model[id])
            #expect(table.isEmpty == model.isEmpty)
        }
        #expect(table.calls.sorted() == model.values.sorted())
    }
}
