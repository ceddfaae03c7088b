import LMDB
import Synchronization

/// The head as an open log knows it, and after how many cuts.
struct KnownHead {
    var head = Head.none
    var cutCount: UInt64 = 0
}

extension EventLog {
    /// Reads the last batch's header anew: another process may have appended, or cut.
    ///
    /// A writer knows its head, and what else its file shows is not durable yet.
    @discardableResult
    public func refreshHead() throws(EventLogError) -> Head { isWriter ? head : try readHead() }

    /// The head that no power cut takes back, which a reader may be ahead of by a commit that is on its way:
    /// for what is to be held against the log.
    public func durableHead() throws(EventLogError) -> Head {
        guard !isWriter else { return head }
        do throws(TransactionError<EventLogError>) {
            return try Environment.readingDurable(of: path) { () throws(EventLogError) in try readHead() }
        } catch {
            switch error {
            case .library(.busy): throw .unfinished(path: path)
            case .library(let error): throw EventLogError(error, path: path)
            case .body(let error): throw error
            }
        }
    }

    /// Reads the last batch's header.
    @discardableResult
    func readHead() throws(EventLogError) -> Head {
        let (newest, cutCount): (Head?, UInt64) = try withReader { (transaction) throws(ReadFault) in
            let newest: Head? = try transaction.cursor(over: self.batches) { (cursor) throws(ReadFault) in
                try cursor.entry(.last).map { (entry) throws(ReadFault) in Head(try BatchView(entry)) }
            }
            return (newest, try self.cutPlace(transaction).count)
        }
        return knownHead.withLock { known in
            let position = newest?.position ?? 0
            // The writer may have appended since, or cut: what it knows is newer.
            if (known.cutCount, known.head.position) < (cutCount, position) {
                known = KnownHead(head: newest ?? .none, cutCount: cutCount)
            }
            return known.head
        }
    }

    /// Takes note of a commit that cut the log.
    func moveHead(to head: Head, cutCount: UInt64) {
        knownHead.withLock { $0 = KnownHead(head: head, cutCount: cutCount) }
    }
}
