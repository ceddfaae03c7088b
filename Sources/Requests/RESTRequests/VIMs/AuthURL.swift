import Registry
import VIMDrivers

/// What becomes of `auth_url`.
enum AuthURL {
    /// The URL as it is stored: as given, but an OpenStack cloud's leads to version 3.
    static func stored(_ given: String, type: VIMType) throws(APIError) -> String {
        switch VIMURL.fault(of: given) {
        case nil: return type == .openstack ? VIMURL.keystone(given) : given
        case .notHTTP: throw .notAnURL
        case .holdsCredentials:
            throw .badInput(
                "auth_url", "it must not hold a user or password: put them into auth_cred")
        }
    }
}
