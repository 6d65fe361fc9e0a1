// From the settings file to values: everything wrong is told at once, and nothing in the file can trap.

import Glibc
import Yams

public enum SettingsFile {
    /// Read when neither an argument nor the environment names a file; may be missing.
    public static let defaultPath = "/etc/millrace/millrace.yaml"
    public static let bytesMax = 1 << 20

    /// The settings of the file named by the argument, else by `MILLRACE_CONFIG`, else of the default file if it
    /// exists, else the defaults. Secrets are only checked to be readable; `SecretSource.read` gives them.
    public static func load(
        argument: String? = nil, checkingSecrets: Bool = true
    ) throws(SettingsError) -> MillraceSettings {
        guard let path = path(argument: argument) else { return MillraceSettings() }
        let bytes: [UInt8]
        do {
            bytes = try contents(of: path, bytesMax: bytesMax)
        } catch {
            var findings = Findings(file: path)
            findings.add(nil, "", "\(error)")
            throw SettingsError(problems: findings.problems)
        }
        return try parse(bytes, file: path, checkingSecrets: checkingSecrets)
    }

    /// The file that `load` reads; nil when it takes the defaults.
    public static func path(argument: String?) -> String? {
        if let named = argument ?? ProcessEnvironment.settingsPath { return named }
        return unsafe access(defaultPath, F_OK) == 0 || errno != ENOENT ? defaultPath : nil
    }

    /// The settings a file of these bytes means; `file` is its name in problems.
    public static func parse(
        _ bytes: [UInt8], file: String, checkingSecrets: Bool = false
    ) throws(SettingsError) -> MillraceSettings {
        var findings = Findings(file: file)
        var settings = MillraceSettings()
        if let root = compose(bytes, &findings), !root.isNull {
            SettingsReader.read(root, into: &settings, &findings)
            if findings.problems.isEmpty {
                SettingsReader.checkTogether(settings, &findings)
            }
            if checkingSecrets { SettingsReader.checkSecrets(settings, &findings) }
        }
        try findings.check()
        return settings
    }

    /// The bytes of a regular file (or pipe) of at most `bytesMax`.
    static func contents(of path: String, bytesMax: Int) throws(SettingsFault) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else {
            throw SettingsFault("cannot read \(path): \(errorText(errno))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw SettingsFault("cannot read \(path): \(errorText(errno))")
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= bytesMax else {
                throw SettingsFault("\(path) is longer than \(Units.text(bytes: bytesMax))")
            }
        }
    }

    /// The file's one document; nil when there is none or it is not YAML.
    private static func compose(_ bytes: [UInt8], _ findings: inout Findings) -> Node? {
        guard bytes.count <= bytesMax else {
            findings.add(nil, "", "is longer than \(Units.text(bytes: bytesMax))")
            return nil
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            findings.add(nil, "", "is not UTF-8")
            return nil
        }
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            tell(error, &findings)
        } catch {
            findings.add(nil, "", "is not YAML: \(error)")
        }
        return nil
    }

    private static func tell(_ error: YamlError, _ findings: inout Findings) {
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let context = context.map { " (\($0.text))" } ?? ""
            findings.add(mark, "", "is not YAML: \(problem)\(context)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.map(quoted).joined(separator: ", ")
            findings.add(context.mark, "", "\(names) is written more than once in a group")
        case .reader(let problem, _, _, _):
            findings.add(nil, "", "is not YAML: \(problem)")
        default:
            findings.add(nil, "", "is not YAML")
        }
    }

    private static func errorText(_ code: Int32) -> String {
        guard let text = unsafe strerror(code) else { return "errno \(code)" }
        return unsafe String(cString: text)
    }
}
