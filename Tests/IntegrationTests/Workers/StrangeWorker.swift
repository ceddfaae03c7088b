import AMQP
import Encodings
import Foundation
import Harness
import Logging
import OsloMessaging

/// Asks, as a worker that nobody knows, to carry actions of a VIM; returns the conductor's verdicts.
///
/// Throws if an answer that is a refusal holds anything but the word.
func askToCarry(_ vimID: String, _ actionIDs: [String], at url: String) async throws -> [String] {
    let client = RPCClient(try BrokerURL(url), name: "stranger", logger: Logger(label: "test"))
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await client.run() }
        defer { group.cancelAll() }
        let tickets = actionIDs.map {
            JSONValue.object(["vim_id": .string(vimID), "action_id": .string($0)])
        }
        // Any 32 bytes are a key that an answer can be encrypted to.
        let key = Data((0..<32).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
        let answer = try await client.call(
            RPCTarget(exchange: "tacker", topic: "TACKER_CONDUCTOR"), "take_actions",
            [
                "worker": .string(UUID().uuidString.lowercased()), "actions": .array(tickets),
                "carried": false, "public_key": .string(key),
            ], version: RPCVersion(1, 1), timeout: .seconds(60))
        return try (answer["answers"]?.array ?? []).map { answer in
            guard let word = answer["verdict"]?.string, answer.object?.count == 1 else {
                throw HarnessError("more than a refusal: \(answer)")
            }
            return word
        }
    }
}
