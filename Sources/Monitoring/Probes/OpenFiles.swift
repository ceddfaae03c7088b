import Glibc

/// The process's limit on open files: each probe under way may hold one.
package enum OpenFiles {
    /// Raises the soft limit to the hard one, at most so far, and returns what holds then.
    ///
    /// Servers that talk to many peers do this at their start; the soft limit is low by tradition, for
    /// programs that use `select`.
    package static func raisedMax(atMost most: UInt = 65_536) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
        if limit.rlim_cur < most, limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = min(limit.rlim_max, rlim_t(most))
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }
}
