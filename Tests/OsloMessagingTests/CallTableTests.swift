import Encodings
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

@Suite("A call's arguments")
struct RPCArgumentsTests {
    @Test("They are equal in whatever order they came, and of those with one name the last one counts")
    func equality() {
        let arguments: RPCArguments = ["a": 1, "b": "x", "a": 2]
        #expect(arguments == ["b": "x", "a": 2])
        #expect(arguments.hashValue == (["b": "x", "a": 2] as RPCArguments).hashValue)
        #expect(arguments != ["b": "x", "a": 1])
        #expect(arguments["a"] == 2)
        #expect(arguments["c"] == nil)
        #expect(Array(arguments.names) == ["a", "b"])
        #expect(RPCArguments(arguments.members) == arguments)
    }
}
