/// Who caused an event, where it was a person or a program on a person's behalf.
public struct Actor: Hashable, Sendable {
    /// The identity service's id of the user; empty if nobody authenticated.
    public var userID: String
    /// The user's name; empty if nobody authenticated.
    public var userName: String
    /// The project on whose behalf; empty if none.
    public var projectID: String
    /// The request that carried the wish, as told to the caller (`X-Openstack-Request-Id`).
    public var requestID: String
    /// Where the request came from, without the port.
    public var remoteAddress: String

    /// An actor; what is unknown stays empty.
    public init(
        userID: String = "", userName: String = "", projectID: String = "", requestID: String = "",
        remoteAddress: String = ""
    ) {
        self.userID = userID
        self.userName = userName
        self.projectID = projectID
        self.requestID = requestID
        self.remoteAddress = remoteAddress
    }

    /// Vedette itself.
    public static let conductor = Actor(userName: "vedette")
}
