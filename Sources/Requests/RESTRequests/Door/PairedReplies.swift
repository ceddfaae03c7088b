import Encodings
import HTTPTypes
import Hummingbird
import NIOCore
import Registry

// A server that is one of a pair: whoever leads answers, whichever of the two is asked.
extension DoorResponder {
    /// How long a request waits for somebody to lead: a failover takes about a lease.
    private static let patience: Duration = .seconds(8)
    private static let pause: Duration = .milliseconds(25)

    /// Answers, or has the leader answer; while the lead changes the caller waits.
    func pairedResponse(
        to request: Request, _ route: Route?, requestID: String, _ context: DoorContext,
        _ role: any ServingRole
    ) async throws -> Response {
        let body: [UInt8]
        do { body = try await BodyCollection.collect(request, configuration: configuration) } catch {
            guard let error = error as? APIError else { throw error }
            let (status, body) = error.reply(legacyStatusCodes: configuration.legacyStatusCodes)
            return DoorResponder.response(Reply(status, body), isHead: false)
        }
        let whole = Request(head: request.head, body: RequestBody(buffer: ByteBuffer(bytes: body)))
        let takesStale = request.head.onlyReads && request.headers[.staleness] != nil
        let isForwarded = request.headers[.forwarded] != nil
        let end = ContinuousClock.now + DoorResponder.patience
        var reason = "the lead of the pair is changing"
        var tryCount = 0
        repeat {
            tryCount += 1
            let standing = role.standing
            if standing == .serves {
                let reply = try await reply(to: whole, route, requestID: requestID, context)
                // Nothing was done, since this node no longer leads: somebody else will.
                guard reply.isElsewhere else {
                    return DoorResponder.response(reply, isHead: request.method == .head)
                }
            } else if takesStale {
                let reply = try await reply(to: whole, route, requestID: requestID, context)
                var response = DoorResponder.response(reply, isHead: request.method == .head)
                response.headers[.staleness] = DoorResponder.seconds(standing)
                return response
            }
            // It waits where it was asked first.
            if isForwarded { return DoorResponder.notLeading }
            switch standing {
            case .follows(let leader?, _):
                let answer = await carried(forwarded(whole, body, context), to: leader, role)
                if let answer { return answer }
            case .nobodyServes(let why): reason = why
            case .serves, .follows(nil, _): break
            }
            try await Task.sleep(for: DoorResponder.pause)
            // However slow this machine is, more than one look is taken.
        } while ContinuousClock.now < end || tryCount < 4
        return DoorResponder.unavailable("nobody leads the pair now: \(reason); try again")
    }

    /// Whether this server leads, for a load balancer.
    func leaderReply() -> Reply {
        guard let role = configuration.role else { return Reply(200, ["role": "leader"]) }
        switch role.standing {
        case .serves: return Reply(200, ["role": "leader"])
        case .follows(let leader, _):
            return Reply(503, ["role": "standby", "leader": leader.map { .string($0) } ?? .null])
        case .nobodyServes(let reason): return Reply(503, ["role": "standby", "reason": .string(reason)])
        }
    }

    /// Whether this server has any use: it leads, or can carry requests to the leader.
    func readyReply() -> Reply {
        guard let role = configuration.role, case .nobodyServes(let reason) = role.standing else {
            return Reply(200, ["status": "ready"])
        }
        return Reply(503, ["status": "not ready", "reason": .string(reason)])
    }

    private func forwarded(_ request: Request, _ body: [UInt8], _ context: DoorContext) -> ForwardedRequest {
        var head = request.head
        for name in HTTPField.Name.ofConnection { head.headerFields[name] = nil }
        head.headerFields[.forwarded] = "1"
        let before = head.headerFields[.forwardedFor].map { $0 + ", " } ?? ""
        head.headerFields[.forwardedFor] = before + context.remoteAddress
        return ForwardedRequest(head: head, body: body)
    }

    /// The leader's answer; nil if nothing was done, so that whoever leads then can be asked.
    private func carried(
        _ request: ForwardedRequest, to leader: String, _ role: any ServingRole
    ) async -> Response? {
        do throws(ForwardFault) {
            let reply = try await role.forward(request, to: leader)
            return reply.headers[.notLeading] == nil ? DoorResponder.response(reply) : nil
        } catch {
            if error == .notSent || request.head.onlyReads { return nil }
            return DoorResponder.unavailable(CommandFailure.outcomeUnknown.sentence)
        }
    }

    /// Nothing was done.
    private static var notLeading: Response {
        var response = unavailable("this node does not lead the pair")
        response.headers[.notLeading] = "1"
        return response
    }

    private static func seconds(_ standing: Standing) -> String {
        guard case .follows(_, let silence?) = standing else { return "unknown" }
        let milliseconds = silence / .milliseconds(1)
        return String(milliseconds.rounded(.up) / 1_000)
    }

    private static func unavailable(_ sentence: String) -> Response {
        let (status, body) = APIError.unavailable(sentence).reply(legacyStatusCodes: false)
        var response = response(Reply(status, body), isHead: false)
        response.headers[.retryAfter] = "1"
        return response
    }

    private static func response(_ reply: ForwardedReply) -> Response {
        var headers = reply.headers
        for name in HTTPField.Name.ofConnection { headers[name] = nil }
        headers[.contentLength] = String(reply.body.count)
        return Response(
            status: .init(code: reply.status), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: reply.body)))
    }
}

extension HTTPRequest {
    /// Whether it may be asked twice.
    fileprivate var onlyReads: Bool { method == .get || method == .head }
}
