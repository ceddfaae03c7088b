/// How long a real Keystone, RabbitMQ or Mistral may take to start, where all tests begin at once.
package let startLimit = Duration.seconds(600)

/// Asks again and again until the answer is not nil, and returns it; throws `what` after `limit`.
///
/// The limit is there so that a broken program ends the test: it is generous and decides nothing else.
package func eventually<Value>(
    _ what: String, limit: Duration = .seconds(180), every pause: Duration = .milliseconds(100),
    _ ask: () async throws -> Value?
) async throws -> Value {
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: limit)
    while clock.now < deadline {
        if let value = try await ask() { return value }
        try await clock.sleep(for: pause)
    }
    throw HarnessError("waited \(limit) in vain: \(what)")
}

/// Asks again and again until the answer is yes; throws `what` after `limit`.
package func eventually(
    _ what: String, limit: Duration = .seconds(180), every pause: Duration = .milliseconds(100),
    _ ask: () async throws -> Bool
) async throws {
    let _: Void = try await eventually(what, limit: limit, every: pause) { try await ask() ? () : nil }
}
