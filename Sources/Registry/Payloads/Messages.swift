import FoundationEssentials  // the generated code holds bytes as Data

/// Between the domain's values and the generated messages; each pair stands together.

extension Vedette_V1_Actor {
    init(_ actor: Actor) {
        self.init()
        userID = actor.userID
        userName = actor.userName
        projectID = actor.projectID
        requestID = actor.requestID
        remoteAddress = actor.remoteAddress
    }
}

extension Actor {
    init(_ message: Vedette_V1_Actor) {
        self.init(
            userID: message.userID, userName: message.userName, projectID: message.projectID,
            requestID: message.requestID, remoteAddress: message.remoteAddress)
    }
}

extension Vedette_V1_MonitorSettings {
    init(_ settings: MonitorSettings) {
        self.init()
        if let probe = settings.probe { self.probe = probe.rawValue }
        if let interval = settings.intervalMilliseconds { intervalMilliseconds = interval }
        if let timeout = settings.timeoutMilliseconds { timeoutMilliseconds = timeout }
        if let threshold = settings.failureThreshold { failureThreshold = threshold }
        if let threshold = settings.successThreshold { successThreshold = threshold }
    }
}

extension MonitorSettings {
    /// A probe kind that this version does not know reads as none: the default probe then watches.
    init(_ message: Vedette_V1_MonitorSettings) {
        self.init(
            probe: message.hasProbe ? ProbeKind(rawValue: message.probe) : nil,
            intervalMilliseconds: message.hasIntervalMilliseconds ? message.intervalMilliseconds : nil,
            timeoutMilliseconds: message.hasTimeoutMilliseconds ? message.timeoutMilliseconds : nil,
            failureThreshold: message.hasFailureThreshold ? message.failureThreshold : nil,
            successThreshold: message.hasSuccessThreshold ? message.successThreshold : nil)
    }
}

extension Vedette_V1_Credentials {
    init(_ credentials: StoredCredentials) {
        self.init()
        maskedJson = credentials.masked.description
        ciphertext = .init(credentials.ciphertext)
    }
}

extension StoredCredentials {
    init(_ message: Vedette_V1_Credentials) {
        self.init(masked: JSONText(message.maskedJson), ciphertext: Array(message.ciphertext))
    }
}

extension Vedette_V1_Extra {
    init(text: JSONText, monitor: MonitorSettings) {
        self.init()
        json = text.description
        self.monitor = .init(monitor)
    }
}

extension Vedette_V1_VIMRegistered {
    init(_ event: VIMRegistered) {
        self.init()
        let configuration = event.configuration
        vimID = .init(event.id.value.bytes)
        type = configuration.type.rawValue
        tenantID = configuration.tenantID
        name = configuration.name
        description_p = configuration.description
        authURL = configuration.authURL
        vimProjectJson = configuration.project.description
        credentials = .init(configuration.credentials)
        placementAttrJson = configuration.placement.description
        isDefault = configuration.isDefault
        extra = .init(text: configuration.extra, monitor: configuration.monitor)
        actor = .init(event.actor)
    }
}

extension VIMRegistered {
    init(_ message: Vedette_V1_VIMRegistered) throws(PayloadFault) {
        guard let type = VIMType(rawValue: message.type) else {
            throw PayloadFault("vim.registered has the unknown VIM type '\(message.type)'", isUnknown: true)
        }
        self.init(
            id: VIMID(try uniqueID(message.vimID, "vim.registered")),
            configuration: VIMConfiguration(
                tenantID: message.tenantID, type: type, name: message.name,
                description: message.description_p,
                authURL: message.authURL, project: JSONText(message.vimProjectJson),
                credentials: StoredCredentials(message.credentials),
                placement: JSONText(message.placementAttrJson), isDefault: message.isDefault,
                extra: JSONText(message.extra.json), monitor: MonitorSettings(message.extra.monitor)),
            actor: Actor(message.actor))
    }
}

extension Vedette_V1_VIMUpdated {
    init(_ event: VIMUpdated) {
        self.init()
        let changes = event.changes
        if let name = changes.name { self.name = name }
        if let description = changes.description { description_p = description }
        if let authURL = changes.authURL { self.authURL = authURL }
        if let project = changes.project { vimProjectJson = project.description }
        if let credentials = changes.credentials { self.credentials = .init(credentials) }
        if let placement = changes.placement { placementAttrJson = placement.description }
        if let isDefault = changes.isDefault { self.isDefault = isDefault }
        if let extra = changes.extra { self.extra = .init(text: extra.text, monitor: extra.monitor) }
        actor = .init(event.actor)
    }
}

extension VIMUpdated {
    init(_ message: Vedette_V1_VIMUpdated) {
        var changes = VIMChanges()
        if message.hasName { changes.name = message.name }
        if message.hasDescription_p { changes.description = message.description_p }
        if message.hasAuthURL { changes.authURL = message.authURL }
        if message.hasVimProjectJson { changes.project = JSONText(message.vimProjectJson) }
        if message.hasCredentials { changes.credentials = StoredCredentials(message.credentials) }
        if message.hasPlacementAttrJson { changes.placement = JSONText(message.placementAttrJson) }
        if message.hasIsDefault { changes.isDefault = message.isDefault }
        if message.hasExtra {
            changes.extra = .init(
                text: JSONText(message.extra.json), monitor: MonitorSettings(message.extra.monitor))
        }
        self.init(changes: changes, actor: Actor(message.actor))
    }
}

extension Vedette_V1_VIMMonitorAssigned {
    init(_ event: VIMMonitorAssigned) {
        self.init()
        actionID = .init(event.actionID.value.bytes)
        reason = UInt32(event.reason.rawValue)
        detail = event.detail
        actor = .init(event.actor)
    }
}

extension VIMMonitorAssigned {
    init(_ message: Vedette_V1_VIMMonitorAssigned) throws(PayloadFault) {
        guard let reason = UInt8(exactly: message.reason).flatMap(AssignmentReason.init(rawValue:)) else {
            throw PayloadFault(
                "vim.monitor_assigned has the unknown reason \(message.reason)", isUnknown: true)
        }
        self.init(
            actionID: MonitorActionID(try uniqueID(message.actionID, "vim.monitor_assigned")), reason: reason,
            detail: message.detail, actor: Actor(message.actor))
    }
}

extension Vedette_V1_VIMMonitorNoted {
    init(_ event: VIMMonitorNoted) {
        self.init()
        actionID = .init(event.actionID.value.bytes)
        backend = event.backend
        reason = event.reason
    }
}

extension VIMMonitorNoted {
    init(_ message: Vedette_V1_VIMMonitorNoted) throws(PayloadFault) {
        self.init(
            actionID: MonitorActionID(try uniqueID(message.actionID, "a monitor's note")),
            backend: message.backend, reason: message.reason)
    }
}

extension Vedette_V1_CommandRefused {
    init(_ event: CommandRefused) {
        self.init()
        command = event.command
        refusal = event.refusal
        sentence = event.sentence
        if let id = event.vimID { vimID = .init(id.value.bytes) }
        actor = .init(event.actor)
    }
}

extension CommandRefused {
    init(_ message: Vedette_V1_CommandRefused) throws(PayloadFault) {
        let id = message.vimID.isEmpty ? nil : VIMID(try uniqueID(message.vimID, "conductor.command_refused"))
        self.init(
            command: message.command, refusal: message.refusal, sentence: message.sentence, vimID: id,
            actor: Actor(message.actor))
    }
}

extension Vedette_V1_EpochStarted {
    init(_ event: EpochStarted) {
        self.init()
        epoch = event.epoch
        version = event.version
        host = event.host
        processID = event.processID
    }
}

extension EpochStarted {
    init(_ message: Vedette_V1_EpochStarted) {
        self.init(
            epoch: message.epoch, version: message.version, host: message.host, processID: message.processID)
    }
}

extension Vedette_V1_LogArchived {
    init(_ event: LogArchived) {
        self.init()
        firstPosition = event.firstPosition
        lastPosition = event.lastPosition
        file = event.file
        lastSeal = .init(event.lastSeal)
        batchBytes = event.batchByteCount
        fileBytes = event.fileByteCount
        actor = .init(event.actor)
    }
}

extension LogArchived {
    init(_ message: Vedette_V1_LogArchived) {
        self.init(
            firstPosition: message.firstPosition, lastPosition: message.lastPosition, file: message.file,
            lastSeal: Array(message.lastSeal), batchByteCount: message.batchBytes,
            fileByteCount: message.fileBytes, actor: Actor(message.actor))
    }
}

extension Vedette_V1_LogDropped {
    init(_ event: LogDropped) {
        self.init()
        firstPosition = event.firstPosition
        lastPosition = event.lastPosition
        segments = event.segmentCount
        fileBytes = event.fileByteCount
        lastSeal = .init(event.lastSeal)
        firstSeal = .init(event.firstSeal)
        baseSha256 = .init(event.baseDigest)
        actor = .init(event.actor)
    }
}

extension LogDropped {
    init(_ message: Vedette_V1_LogDropped) {
        self.init(
            firstPosition: message.firstPosition, lastPosition: message.lastPosition,
            segmentCount: message.segments, fileByteCount: message.fileBytes,
            lastSeal: Array(message.lastSeal), firstSeal: Array(message.firstSeal),
            baseDigest: Array(message.baseSha256), actor: Actor(message.actor))
    }
}

extension Vedette_V1_VaultRotated {
    init(_ event: VaultRotated) {
        self.init()
        fromFingerprint = event.fromFingerprint
        toFingerprint = event.toFingerprint
        dataKeys = event.dataKeyCount
        unopenedKeys = event.unopenedCount
        actor = .init(event.actor)
    }
}

extension VaultRotated {
    init(_ message: Vedette_V1_VaultRotated) {
        self.init(
            fromFingerprint: message.fromFingerprint, toFingerprint: message.toFingerprint,
            dataKeyCount: message.dataKeys, unopenedCount: message.unopenedKeys, actor: Actor(message.actor))
    }
}

private func uniqueID(_ bytes: some Collection<UInt8>, _ place: String) throws(PayloadFault) -> UniqueID {
    guard let id = UniqueID(bytes: bytes) else {
        throw PayloadFault("\(place) has an id of \(bytes.count) bytes instead of 16")
    }
    return id
}
