import Encodings
import VIMDrivers

/// Opening a request's body as far as the resource's own members.
enum BodyReading {
    /// Reads `{"vim": {...}}` and returns what stands under `vim`.
    static func members(of resource: String, in bytes: [UInt8], isCreation: Bool) throws(APIError)
        -> [String: JSONValue]
    {
        guard !bytes.isEmpty else {
            throw isCreation ? .badRequest("Resource body required") : .emptyPUT
        }
        let body: JSONValue
        do {
            body = try JSONValue(json: bytes)
        } catch {
            throw .malformedBody
        }
        guard !body.isEmpty else { throw .badRequest("Resource body required") }
        guard let top = body.object else {
            throw .badRequestUnknownToTacker("Malformed request body: a JSON object is required")
        }
        guard top["\(resource)s"] == nil else { throw .badRequest("Bulk operation not supported") }
        guard let value = top[resource], value != .null else {
            throw .badRequest("Unable to find '\(resource)' in request body")
        }
        guard let members = value.object else {
            throw .badRequestUnknownToTacker("Malformed request body: '\(resource)' must be a JSON object")
        }
        return members
    }
}
