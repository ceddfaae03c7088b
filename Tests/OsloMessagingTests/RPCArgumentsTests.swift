import Encodings
import Testing

@testable import OsloMessaging

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
