package import Registry

extension UniqueID {
    /// An id that is easy to read in a failure.
    package static func sample(_ number: UInt64) -> UniqueID {
        UniqueID(high: 0x1111_1111_2222_4333, low: 0x8444_0000_0000_0000 | number)
    }
}

extension VIMID {
    /// The VIM of that number.
    package static func sample(_ number: UInt64) -> VIMID { VIMID(.sample(number)) }
}

extension MonitorActionID {
    /// The action of that number.
    package static func sample(_ number: UInt64) -> MonitorActionID {
        MonitorActionID(.sample(0xAC_0000 + number))
    }
}

extension VIMConfiguration {
    /// An OpenStack VIM of the tenant `default`.
    package static func sample(
        _ name: String, tenantID: String = "default", authURL: String = "http://127.0.0.1:5000/v3",
        isDefault: Bool = false
    ) -> VIMConfiguration {
        VIMConfiguration(
            tenantID: tenantID, type: .openstack, name: name, description: "of \(name)", authURL: authURL,
            project: JSONText(#"{"name":"nfv"}"#),
            credentials: StoredCredentials(
                masked: JSONText(#"{"password":"***"}"#), ciphertext: [1, 2, 3, 4]),
            isDefault: isDefault)
    }
}

extension Command {
    /// The wish to register a VIM under ids of that number.
    package static func sampleRegistration(
        _ number: UInt64, name: String, tenantID: String = "default", isDefault: Bool = false
    ) -> Command {
        .register(
            RegisterVIM(
                id: .sample(number), actionID: .sample(number),
                configuration: .sample(name, tenantID: tenantID, isDefault: isDefault),
                actor: Actor(userName: "ada")))
    }
}
