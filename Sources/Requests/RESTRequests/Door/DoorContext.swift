import Hummingbird
import NIOCore

/// What the server tells of a request beside the request itself.
struct DoorContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// Where the request came from, without the port; empty if that is not known.
    let remoteAddress: String

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress?.ipAddress ?? ""
    }
}
