/// Gives each distinct endpoint (`host:port`) a small dense number for as long as somebody uses it.
///
/// Keys are 64-bit hashes of the text: with 100,000 endpoints the odds of a false match are one in billions,
/// and a false match would only make two endpoints count as one.
struct EndpointTable: Sendable {
    private var numbers: [UInt64: UInt32] = [:]
    private var keys: [UInt64] = []
    private var referenceCounts: [UInt32] = []
    private var free: [UInt32] = []

    /// The endpoint's number, used once more from now on.
    mutating func retain(_ text: String) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(text)
        let key = UInt64(bitPattern: Int64(hasher.finalize()))
        if let number = numbers[key] {
            referenceCounts[Int(number)] += 1
            return number
        }
        let number: UInt32
        if let reused = free.popLast() {
            number = reused
            keys[Int(number)] = key
            referenceCounts[Int(number)] = 1
        } else {
            number = UInt32(keys.count)
            keys.append(key)
            referenceCounts.append(1)
        }
        numbers[key] = number
        return number
    }

    /// One use less; true if it was the last.
    mutating func release(_ number: UInt32) -> Bool {
        referenceCounts[Int(number)] -= 1
        guard referenceCounts[Int(number)] == 0 else { return false }
        numbers[keys[Int(number)]] = nil
        free.append(number)
        return true
    }
}
