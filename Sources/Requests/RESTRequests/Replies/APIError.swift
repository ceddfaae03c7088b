import Encodings
import Registry
import VIMDrivers

/// A reply that says no: Tacker's type and message, and the status code.
struct APIError: Error, Hashable {
    var status: Int
    var type: String
    var message: String
    /// What Tacker answers in the same case, where that differs.
    var legacy: Legacy?

    struct Legacy: Hashable {
        var status: Int
        var type: String
        var message: String
    }

    /// The whole reply's status and body.
    func reply(legacyStatusCodes: Bool) -> (status: Int, body: JSONValue) {
        let told = legacyStatusCodes ? legacy ?? asLegacy : asLegacy
        let error: JSONValue = [
            "type": .string(told.type), "message": .string(told.message), "detail": "",
        ]
        return (told.status, ["TackerError": error])
    }

    private var asLegacy: Legacy { Legacy(status: status, type: type, message: message) }

    /// The same type and message, but Tacker's status is 500.
    private func legacy500() -> APIError {
        var copy = self
        copy.legacy = Legacy(status: 500, type: type, message: message)
        return copy
    }

    /// Tacker fails without a word.
    private func legacyGeneric() -> APIError {
        var copy = self
        let generic = APIError.internalError
        copy.legacy = Legacy(status: 500, type: generic.type, message: generic.message)
        return copy
    }
}

// The error table: one line for each thing that may be wrong with a request.
extension APIError {
    static let internalError = APIError(
        status: 500, type: "HTTPInternalServerError",
        message: "Request Failed: internal server error while processing your request.")

    static func badRequest(_ message: String) -> APIError {
        APIError(status: 400, type: "HTTPBadRequest", message: message)
    }

    /// Tacker answers 500 without a word where we say what is wrong.
    static func badRequestUnknownToTacker(_ message: String) -> APIError {
        badRequest(message).legacyGeneric()
    }

    static func badInput(_ attribute: String, _ reason: String) -> APIError {
        badRequest("Invalid input for \(attribute). Reason: \(reason).")
    }

    static let malformedBody = APIError(
        status: 400, type: "MalformedRequestBody",
        message: "Malformed request body: Cannot understand JSON")

    static let emptyPUT = APIError(
        status: 400, type: "BadRequest", message: "Bad body request: Invalid format: b''")

    static func badLimit(_ text: String) -> APIError {
        APIError(
            status: 400, type: "BadRequest",
            message: "Bad limit request: Limit must be an integer 0 or greater and not '\(text)'")
    }

    static func tooLarge(_ message: String) -> APIError {
        APIError(status: 413, type: "HTTPRequestEntityTooLarge", message: message)
    }

    static let bodyTimedOut = APIError(
        status: 408, type: "HTTPRequestTimeout", message: "The request body did not come in time")

    static func vimNotFound(_ id: String) -> APIError {
        APIError(
            status: 404, type: "VimNotFoundException",
            message: "Specified VIM id \(id) is invalid. Please verify and pass a valid VIM id"
        ).legacy500()
    }

    static func notUUID(_ id: String) -> APIError {
        badRequestUnknownToTacker("Invalid input for id. Reason: '\(id)' is not a valid UUID.")
    }

    static func eventNotFound(_ id: String) -> APIError {
        APIError(
            status: 404, type: "EventNotFoundException",
            message: "Specified Event id \(id) is invalid. Please verify and pass a valid Event id"
        ).legacy500()
    }

    static func noExtension(_ alias: String) -> APIError {
        APIError(
            status: 404, type: "HTTPNotFound", message: "Extension with alias \(alias) does not exist")
    }

    static let notAnURL = APIError(
        status: 400, type: "VimConnectionException",
        message: "Could not find requested endpoint in Service Catalog."
    ).legacy500()

    /// Tacker knows that a name is taken only when the database says so, and on PUT it does not listen.
    static func nameTaken(onUpdate: Bool) -> APIError {
        let error = APIError(
            status: 409, type: "DuplicateEntity",
            message: "vim already exist with given ['tenant_id', 'name', 'deleted_at']")
        return onUpdate ? error.legacyGeneric() : error
    }

    static func defaultExists(_ id: VIMID) -> APIError {
        APIError(
            status: 409, type: "VimDefaultDuplicateException",
            message: "Default VIM already exists \(id)."
        ).legacy500()
    }

    static func unavailable(_ message: String) -> APIError {
        APIError(status: 503, type: "ServiceUnavailable", message: message)
    }

    /// Whoever leads the pair now would do it.
    static let elsewhere = APIError.unavailable(CommandFailure.notLeading.sentence)

    /// Reads a driver's no.
    init(_ error: VIMDriverError) {
        switch error {
        case .connection(let text):
            self = APIError(status: 400, type: "VimConnectionException", message: text).legacy500()
        case .unauthorized(let text):
            self = APIError(status: 400, type: "VimUnauthorizedException", message: text).legacy500()
        case .badCredentials(let text):
            self = APIError.badRequestUnknownToTacker("Invalid input for auth_cred. Reason: \(text).")
        }
    }

    /// Reads the conductor's no.
    init(_ failure: CommandFailure, onUpdate: Bool) {
        switch failure {
        case .refused(.nameTaken): self = .nameTaken(onUpdate: onUpdate)
        case .refused(.defaultExists(let id)): self = .defaultExists(id)
        case .refused(.vimNotFound(let id)): self = .vimNotFound(id.description)
        case .refused(.versionConflict):
            self = APIError(
                status: 409, type: "HTTPConflict",
                message: "The VIM was changed by others at the same time, again and again. Try later.")
        case .refused(.unknownStatus): self = .internalError
        case .refused(.tooLarge): self = .tooLarge(failure.sentence)
        case .notLeading: self = .elsewhere
        case .notStored, .stopped, .outcomeUnknown: self = .unavailable(failure.sentence)
        }
    }
}
