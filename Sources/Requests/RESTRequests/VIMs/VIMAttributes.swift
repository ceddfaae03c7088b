import Encodings
import VIMDrivers

/// The attributes of a VIM as requests may give them, and what is checked before anything is done.
enum VIMAttributes {
    /// One attribute's rules.
    struct Attribute: Sendable {
        var name: String
        var mayPOST = false
        var mayPUT = false
        /// A POST without it is refused.
        var isRequired = false
        /// Looks at a given value, and puts it into its normal form.
        var check: @Sendable (String, JSONValue) throws(APIError) -> JSONValue = {
            (_, value) throws(APIError) in value
        }
    }

    /// All attributes in Tacker's order, which decides which of several faults is told.
    static let all: [Attribute] = [
        Attribute(name: "id"),
        Attribute(name: "tenant_id", mayPOST: true, check: string),
        Attribute(name: "type", mayPOST: true, isRequired: true, check: notBlank),
        // PUT goes beyond Tacker: that is how a VIM moves.
        Attribute(name: "auth_url", mayPOST: true, mayPUT: true, isRequired: true, check: string),
        Attribute(name: "auth_cred", mayPOST: true, mayPUT: true, isRequired: true, check: secretDictionary),
        Attribute(name: "vim_project", mayPOST: true, mayPUT: true, isRequired: true, check: dictionary),
        Attribute(name: "name", mayPOST: true, mayPUT: true, isRequired: true, check: name),
        Attribute(name: "description", mayPOST: true, mayPUT: true, check: string),
        Attribute(name: "status"),
        Attribute(name: "placement_attr"),
        Attribute(name: "shared"),
        Attribute(name: "is_default", mayPOST: true, mayPUT: true, check: boolean),
        Attribute(name: "created_at"),
        Attribute(name: "updated_at"),
        Attribute(name: "extra", mayPOST: true, mayPUT: true, check: object),
    ]

    /// The longest name, in characters.
    static let nameCharacterMax = 255

    /// Checks what was given under `vim`, in Tacker's order, and returns it in normal form.
    static func checked(
        _ given: [String: JSONValue], isCreation: Bool
    ) throws(APIError) -> [String: JSONValue] {
        var members = given
        members["project_id"] = nil  // tolerated: newer clients send it beside tenant_id
        let known = Set(all.map(\.name))
        let strangers = members.keys.filter { !known.contains($0) }.sorted()
        guard strangers.isEmpty else {
            throw .badRequest("Unrecognized attribute(s) '\(strangers.joined(separator: ", "))'")
        }
        for attribute in all {
            let isGiven = members[attribute.name] != nil
            if isCreation, attribute.isRequired, !isGiven {
                throw .badRequest(
                    "Failed to parse request. Required attribute '\(attribute.name)' not specified")
            }
            if isCreation, !attribute.mayPOST, isGiven {
                throw .badRequest("Attribute '\(attribute.name)' not allowed in POST")
            }
            if !isCreation, !attribute.mayPUT, isGiven {
                throw .badRequest("Cannot update read-only attribute \(attribute.name)")
            }
        }
        for attribute in all {
            guard let value = members[attribute.name] else { continue }
            members[attribute.name] = try attribute.check(attribute.name, value)
        }
        return members
    }

    /// Truth as Tacker takes it: true and false, 1 and 0, and these as texts in any case.
    static func truth(_ value: JSONValue) -> Bool? {
        switch value {
        case .bool(let truth): truth
        case .integer(0): false
        case .integer(1): true
        case .string(let text):
            switch text.lowercased() {
            case "true", "1": true
            case "false", "0": false
            default: nil
            }
        default: nil
        }
    }

    // MARK: The checks

    @Sendable private static func string(_ name: String, _ value: JSONValue) throws(APIError) -> JSONValue {
        guard case .string = value else {
            throw .badInput(name, "'\(PythonText.of(CredentialKeys.masked(value)))' is not a valid string")
        }
        return value
    }

    @Sendable private static func notBlank(_ name: String, _ value: JSONValue) throws(APIError) -> JSONValue {
        let text = try string(name, value).string ?? ""
        guard !text.allSatisfy(\.isWhitespace) else {
            throw .badInput(name, "'\(text)' Blank strings are not permitted")
        }
        return value
    }

    @Sendable private static func name(_ name: String, _ value: JSONValue) throws(APIError) -> JSONValue {
        let text = try string(name, value).string ?? ""
        // Python counts code points, and so does the column that clients know.
        guard text.unicodeScalars.count <= nameCharacterMax else {
            throw .badInput(name, "'\(text)' exceeds maximum length of \(nameCharacterMax)")
        }
        return value
    }

    @Sendable private static func dictionary(
        _ name: String, _ value: JSONValue
    ) throws(APIError) -> JSONValue {
        guard case .object(let members) = value, !members.isEmpty else {
            throw .badInput(
                name, "'\(PythonText.of(value))' is not a valid dictionary or it is an empty dictionary")
        }
        return value
    }

    /// Who gives a text where credentials belong may have put a password into it: it is not echoed,
    /// unless it is too short to be one.
    @Sendable private static func secretDictionary(
        _ name: String, _ value: JSONValue
    ) throws(APIError) -> JSONValue {
        let isHarmless = PythonText.of(value).utf8.count < 6
        do {
            return try dictionary(name, value)
        } catch {
            if isHarmless { throw error }
            return try dictionary(name, .string(CredentialKeys.mask))
        }
    }

    @Sendable private static func boolean(_ name: String, _ value: JSONValue) throws(APIError) -> JSONValue {
        guard let truth = truth(value) else {
            throw .badInput(name, "'\(PythonText.of(value))' is not a valid boolean value")
        }
        return .bool(truth)
    }

    @Sendable private static func object(_ name: String, _ value: JSONValue) throws(APIError) -> JSONValue {
        if case .object = value { return value }
        guard value.isEmpty else {
            throw .badInput(name, "'\(PythonText.of(value))' is not a dictionary")
        }
        return .object([:])
    }
}
