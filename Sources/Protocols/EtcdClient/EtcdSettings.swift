import FoundationEssentials

/// Where etcd is, and how it is asked.
public struct EtcdSettings: Hashable, Sendable {
    /// Client URLs of its members, such as `https://10.0.0.1:2379`.
    public var endpoints: [String]
    /// How long a call may take, over all endpoints together.
    public var timeout: Duration
    /// Nil where etcd asks for no password.
    public var account: Account?
    /// A PEM file of the authorities to trust; nil means the system's.
    public var authorities: String?
    /// A PEM file with the certificate that the client shows; nil if it shows none.
    public var certificate: String?
    /// A PEM file with its private key; nil if that is in the certificate's file.
    public var privateKey: String?

    /// A user of etcd.
    public struct Account: Hashable, Sendable {
        /// Its name.
        public var user: String
        /// Its password.
        public var password: String

        /// Both.
        public init(user: String, password: String) {
            self.user = user
            self.password = password
        }
    }

    /// Settings without password and certificates.
    public init(endpoints: [String], timeout: Duration = .seconds(5)) {
        self.endpoints = endpoints
        self.timeout = timeout
    }

    /// The endpoints without slashes at the end.
    ///
    /// - Throws: ``EtcdFault/unusable(_:)`` if there is none, or one is no URL.
    func checkedEndpoints() throws(EtcdFault) -> [String] {
        guard !endpoints.isEmpty else { throw .unusable("no endpoint of etcd is given") }
        guard timeout > .zero else { throw .unusable("etcd must be given some time to answer in") }
        var checked: [String] = []
        for endpoint in endpoints {
            guard let url = URL(string: endpoint), let scheme = url.scheme, let host = url.host(),
                !host.isEmpty,
                ["http", "https"].contains(scheme), ["", "/"].contains(url.path), url.query() == nil,
                url.user() == nil
            else {
                throw .unusable(
                    "'\(endpoint)' is no endpoint of etcd; write http://HOST:2379 or https://HOST:2379")
            }
            checked.append(endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint)
        }
        return checked
    }
}
