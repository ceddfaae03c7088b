import Foundation
import Glibc
import Reference

/// A `vedette serve` on a throw-away directory; ended when this value goes.
final class ServerProcess {
    /// `127.0.0.1:PORT`.
    let address: String
    private let id: Int32
    private var isRunning = true

    /// Starts a server and waits until it listens.
    ///
    /// - Parameter patience: seconds to wait for it.
    ///
    /// Call on the main thread: the kernel kills the server when the thread that started it ends.
    init(program: String, directory: String, options: [String] = [], patience: UInt64 = 30) throws {
        guard access(program, X_OK) == 0 else {
            throw BenchmarkError(
                "\(program) is missing: build it with 'swift build -c release --product vedette', or name "
                    + "another one with --vedette")
        }
        let (data, log) = (directory + "/data", directory + "/server.log")
        let arguments =
            [
                program, "serve", "--data-directory", data, "--listen", "127.0.0.1:0",
                "--registration-check", "deferred", "--log-level", "notice",
            ] + options
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var id: Int32 = 0
        try check(reference_spawn(program, &pointers, log, &id), program)
        self.id = id
        guard let address = ServerProcess.wait(forServerIn: data, id: id, seconds: patience) else {
            kill(id, SIGKILL)
            waitpid(id, nil, 0)
            throw BenchmarkError("the server did not come up: \(Machine.read(log).suffix(1_000))")
        }
        self.address = address
    }

    deinit { stop() }

    /// Ends the server and waits for it.
    func stop() {
        guard isRunning else { return }
        isRunning = false
        kill(id, SIGTERM)
        let end = nowNanoseconds() + 15_000_000_000
        while waitpid(id, nil, WNOHANG) == 0 {
            if nowNanoseconds() > end { kill(id, SIGKILL) }
            usleep(10_000)
        }
    }

    /// Bytes of memory in use now, and the most there ever were.
    var memory: (resident: Int, peak: Int) {
        func bytes(_ name: String) -> Int {
            let text = Machine.field(name, of: "/proc/\(id)/status") ?? "0 kB"
            return (Int(text.split(separator: " ").first ?? "0") ?? 0) * 1_024
        }
        return (bytes("VmRSS"), bytes("VmHWM"))
    }

    /// Seconds of processor time used so far.
    var processorSeconds: Double { Machine.processorSeconds(of: id) }

    private static func wait(forServerIn data: String, id: Int32, seconds: UInt64) -> String? {
        let end = nowNanoseconds() + seconds * 1_000_000_000
        while nowNanoseconds() < end, waitpid(id, nil, WNOHANG) == 0 {
            if let file = FileManager.default.contents(atPath: data + "/server.json"),
                let object = try? JSONSerialization.jsonObject(with: file) as? [String: Any],
                let address = object["address"] as? String
            {
                return address
            }
            usleep(5_000)
        }
        return nil
    }
}

/// The body of a registration over REST.
func registration(name: String, url: String, description: String = "", monitor: String = "") -> String {
    let extra = monitor.isEmpty ? "" : #", "extra": {"monitor": \#(monitor)}"#
    return #"{"vim": {"name": "\#(name)", "description": "\#(description)", "type": "openstack", "#
        + #""auth_url": "\#(url)", "vim_project": {"name": "nfv", "project_domain_name": "Default"}, "#
        + #""auth_cred": {"username": "nfv", "password": "secret", "user_domain_name": "Default", "#
        + #""cert_verify": "True"}\#(extra)}}"#
}
