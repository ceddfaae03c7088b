import HTTPTypes
import Registry

/// Who makes a request, and what that permits.
struct Caller: Sendable {
    /// The identity service's id of the user; empty if nobody authenticated.
    var userID = ""
    /// The user's name; empty if nobody authenticated.
    var userName = ""
    /// The project on whose behalf; nil if nobody authenticated.
    var projectID: String?
    /// Whether every tenant's VIMs are the caller's business.
    var isAdmin: Bool

    /// Without authentication the caller is an administrator without a tenant, as in Tacker.
    static let unauthenticated = Caller(isAdmin: true)

    /// The owner rule: administrators see all, others what their project owns.
    func mayTouch(_ vim: VIM) -> Bool {
        isAdmin || vim.configuration.tenantID == projectID
    }

    /// The caller as the log remembers it.
    func actor(requestID: String, remoteAddress: String) -> Actor {
        Actor(
            userID: userID, userName: userName, projectID: projectID ?? "", requestID: requestID,
            remoteAddress: remoteAddress)
    }
}

/// How callers prove who they are: the one place where a request becomes a caller.
enum Authentication: Sendable {
    /// Everybody is trusted; for loopback only.
    case none

    /// Reads who makes a request.
    func caller(headers: HTTPFields) async throws -> Caller {
        switch self {
        case .none: .unauthenticated
        }
    }
}
