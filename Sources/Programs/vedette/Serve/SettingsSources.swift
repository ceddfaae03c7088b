import Configuration
import Foundation
import SystemPackage
import Yams

/// Environment and file, asked in this order; a value of the wrong kind is an error and not passed over.
struct SettingsSources {
    private var providers: [(name: (String) -> String, provider: any ConfigProvider)]

    /// - Parameter keys: what the file may hold.
    init(file flag: String?, keys: [String]) async throws {
        let environment = EnvironmentVariablesProvider().prefixKeys(with: "vedette")
        providers = [({ "VEDETTE_" + $0.uppercased().replacing("-", with: "_") }, environment)]
        let named = flag ?? ProcessInfo.processInfo.environment["VEDETTE_CONFIGURATION_FILE"]
        guard let path = named, !path.isEmpty else { return }
        try checkKeys(of: path, known: keys)
        do {
            let file = try await FileProvider<YAMLSnapshot>(filePath: FilePath(path))
            providers.append(({ "\(path): \($0)" }, file))
        } catch { throw Failure.usage("--configuration-file \(path): it cannot be read as YAML (\(error))") }
    }

    /// A misspelt key would be passed over in silence.
    private func checkKeys(of path: String, known: [String]) throws {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw Failure.usage("--configuration-file \(path): there is no file that can be read")
        }
        let keys: [String]
        do {
            keys = try Yams.load(yaml: text).map { ($0 as? [String: Any])?.keys.sorted() ?? [""] } ?? []
        } catch {
            throw Failure.usage("--configuration-file \(path): it cannot be read as YAML (\(error))")
        }
        for key in keys where !known.contains(key) {
            throw Failure.usage(
                "--configuration-file \(path): '\(key)' is no option; there are "
                    + known.joined(separator: ", "))
        }
    }

    func text(_ key: String) throws -> String? {
        guard case .string(let text)? = try value(key, .string) else { return nil }
        return text
    }

    func number(_ key: String) throws -> Double? {
        guard case .double(let number)? = try value(key, .double) else { return nil }
        return number
    }

    func count(_ key: String) throws -> Int? {
        guard case .int(let count)? = try value(key, .int) else { return nil }
        return count
    }

    func flag(_ key: String) throws -> Bool {
        guard case .bool(let flag)? = try value(key, .bool) else { return false }
        return flag
    }

    private func value(_ key: String, _ type: ConfigType) throws -> ConfigContent? {
        for (name, provider) in providers {
            do {
                let found = try provider.value(forKey: AbsoluteConfigKey([key]), type: type)
                if let value = found.value { return value.content }
            } catch { throw Failure.usage("\(name(key)): the value is no \(type.rawValue)") }
        }
        return nil
    }
}
