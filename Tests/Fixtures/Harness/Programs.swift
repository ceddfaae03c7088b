import Foundation

/// Where the programs stand that the tests run.
package enum Programs {
    /// The repository's top folder.
    package static let repository: String = {
        // This file is Tests/Fixtures/Harness/Programs.swift.
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
    }()

    /// The `vedette` of the same build as this test bundle.
    package static let vedette = built("vedette")
    /// The `vedette` of the commit before this one, which `tools/test` builds.
    package static let previousVedette = repository + "/.build/previous/vedette"
    /// The program that embeds one of a pair (Sources/Programs/pair-example).
    package static let pairExample = built("pair-example")
    /// The program that makes load on a conductor of its own (Tests/Fixtures/ConductorLoad).
    package static let conductorLoad = built("conductor-load")

    private static func built(_ name: String) -> String {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// Notes a program's system calls, and lets them fail.
    package static let strace = "/usr/bin/strace"
    /// The real client, of the virtual environment that tools/test makes.
    package static let openstack = repository + "/.build/venv/client/bin/openstack"
    /// Python with the client's library.
    package static let clientPython = repository + "/.build/venv/client/bin/python"
    /// Python with Keystone.
    package static let keystonePython = repository + "/.build/venv/keystone/bin/python"
    /// The virtual environment with Mistral and the plug-in of tools/mistral-plugin.
    package static let mistralEnvironment = repository + "/.build/venv/mistral"
    /// The same with a Mistral of the generation of Debian 12.
    package static let mistral15Environment = repository + "/.build/venv/mistral15"
    /// The endpoint that stands for a VIM, the one that the demo shows.
    package static let standInVIM = repository + "/tools/demo/stand_in_vim.py"
    /// Starts a real Keystone.
    package static let keystone = repository + "/Tests/Fixtures/keystone/serve_keystone.py"

    /// Throws a sentence that says what to do if one of the programs is missing: a test that cannot run
    /// must fail, not pass.
    package static func require(_ paths: String...) throws {
        for path in paths where !FileManager.default.fileExists(atPath: path) {
            throw HarnessError(
                "\(path) is missing; run tools/test, which installs and builds what tests need")
        }
    }
}

/// Why a test could not go on, in one sentence.
package struct HarnessError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
