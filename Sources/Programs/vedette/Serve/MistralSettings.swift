import ArgumentParser
import Foundation
import KeystoneClient

/// The options of `vedette serve --workflows mistral`.
struct MistralFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Where Mistral answers, such as http://controller:8989; for --workflows mistral. Its executors \
            need the plug-in of tools/mistral-plugin and the broker of --rabbitmq.
            """, valueName: "url"))
    var mistralURL: String?
    @Option(
        help: ArgumentHelp(
            "The Keystone that Mistral trusts; without it Mistral is taken to ask for no token.",
            valueName: "url"))
    var mistralAuthURL: String?
    @Option(help: ArgumentHelp("Who logs in there.", valueName: "name")) var mistralUserName: String?
    @Option(
        help: ArgumentHelp(
            """
            A file that holds its password, which may also stand in VEDETTE_MISTRAL_PASSWORD.
            """, valueName: "file"))
    var mistralPasswordFile: String?
    @Option(help: ArgumentHelp("The user's domain (default: Default).", valueName: "name"))
    var mistralUserDomain: String?
    @Option(help: ArgumentHelp("The project to work in.", valueName: "name")) var mistralProject: String?
    @Option(help: ArgumentHelp("The project's domain (default: Default).", valueName: "name"))
    var mistralProjectDomain: String?
    @Option(
        help: ArgumentHelp(
            "PEM file of the authorities to trust for Mistral and its Keystone.", valueName: "file"))
    var mistralCaFile: String?
}

/// Where Mistral is and how to log in.
struct MistralSettings: Sendable {
    var url: String
    /// Nil if Mistral asks for no token.
    var account: KeystoneAccount?
    /// PEM file of the authorities to trust; nil means the system's.
    var authorities: String?
}

extension MistralFlags {
    /// What a configuration file may hold of these.
    static let keys = [
        "mistral-auth-url", "mistral-ca-file", "mistral-password-file", "mistral-project",
        "mistral-project-domain", "mistral-url", "mistral-user-domain", "mistral-user-name",
    ]

    /// Where Mistral is; nil if it is not named.
    func settings(_ sources: SettingsSources) throws -> MistralSettings? {
        guard let url = try mistralURL ?? sources.text("mistral-url") else {
            if try mistralAuthURL ?? sources.text("mistral-auth-url") != nil {
                throw Failure.usage("--mistral-auth-url does nothing without --mistral-url")
            }
            return nil
        }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw Failure.usage("--mistral-url: '\(url)' is no URL, such as http://controller:8989")
        }
        return MistralSettings(
            url: url, account: try account(sources),
            authorities: try mistralCaFile ?? sources.text("mistral-ca-file"))
    }

    private func account(_ sources: SettingsSources) throws -> KeystoneAccount? {
        guard let authURL = try mistralAuthURL ?? sources.text("mistral-auth-url") else { return nil }
        guard let user = try mistralUserName ?? sources.text("mistral-user-name"),
            let project = try mistralProject ?? sources.text("mistral-project")
        else {
            throw Failure.usage("--mistral-auth-url needs --mistral-user-name and --mistral-project, too")
        }
        return KeystoneAccount(
            authURL: authURL, userName: user, password: try password(sources),
            userDomainName: try mistralUserDomain ?? sources.text("mistral-user-domain") ?? "Default",
            projectName: project,
            projectDomainName: try mistralProjectDomain ?? sources.text("mistral-project-domain")
                ?? "Default")
    }

    /// Never a flag, which others could see, nor a line of the configuration file.
    private func password(_ sources: SettingsSources) throws -> String {
        if let path = try mistralPasswordFile ?? sources.text("mistral-password-file") {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw Failure.usage("--mistral-password-file \(path): there is no file that can be read")
            }
            return text.trimmingCharacters(in: .newlines)
        }
        guard let password = ProcessInfo.processInfo.environment["VEDETTE_MISTRAL_PASSWORD"] else {
            throw Failure.usage(
                "--mistral-auth-url needs a password: name its file with --mistral-password-file, or set "
                    + "VEDETTE_MISTRAL_PASSWORD")
        }
        return password
    }
}
