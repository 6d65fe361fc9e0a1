// Secrets come from files or systemd credentials only: arguments, environments and settings files are read by others.

import Glibc
import Yams

/// Where a secret is to be read.
public enum SecretSource: Sendable, Hashable, CustomStringConvertible {
    case file(String)
    /// A file of that name in `$CREDENTIALS_DIRECTORY`; see LoadCredential= in systemd.exec(5).
    case credential(String)

    public static let bytesMax = 64 << 10

    public var description: String {
        switch self {
        case .file(let path): "{file: \(yamlText(path))}"
        case .credential(let name): "{credential: \(yamlText(name))}"
        }
    }

    /// Reads it; one newline at the end is not part of the secret.
    public func read(
        credentialsDirectory: String? = ProcessEnvironment.credentialsDirectory
    ) throws(SettingsFault) -> String {
        let path: String
        switch self {
        case .file(let file): path = file
        case .credential(let name):
            guard let credentialsDirectory else {
                throw SettingsFault(
                    "credential \(quoted(name)) is not here: $CREDENTIALS_DIRECTORY is not set; "
                        + "put LoadCredential=\(name):/path into the unit, or use {file: /path}"
                )
            }
            path = credentialsDirectory + "/" + name
        }
        let bytes = try SettingsFile.contents(of: path, bytesMax: Self.bytesMax)
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsFault("\(path) is not UTF-8")
        }
        if text.hasSuffix("\n") { text.removeLast() }
        guard !text.isEmpty, !text.utf8.contains(0) else {
            throw SettingsFault("\(path) is empty or holds a NUL: no secret can be read from it")
        }
        return text
    }
}

extension Codec where Value == SecretSource {
    static let secret = Codec(
        type: "secret", allowed: "{file: /absolute/path} or {credential: name}",
        parse: { node, key, findings in
            guard node.mapping != nil else {
                findings.add(
                    node.mark, key, "a secret is never written here: others read this file",
                    allowed: "{file: /absolute/path} or {credential: name}")
                return nil
            }
            guard
                let fields = node.namedFields(
                    key, ["file", "credential"], required: [], &findings)
            else { return nil }
            let text = fields.values.first?.scalar?.string ?? ""
            guard fields.count == 1, let kind = fields.keys.first,
                kind == "file" ? text.hasPrefix("/") : isCredentialName(text)
            else {
                findings.add(
                    node.mark, key, "does not say where the secret is",
                    allowed: "{file: /absolute/path} or {credential: name}")
                return nil
            }
            return kind == "file" ? .file(text) : .credential(text)
        }, render: { "\($0)" })

    private static func isCredentialName(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && !text.contains("/") && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 > 32 && $0 < 127 }
    }
}

/// One reason, in words, why something could not be read.
public struct SettingsFault: Error, Sendable, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }
}

/// The few things the environment says; nothing else reads it.
public enum ProcessEnvironment {
    /// `MILLRACE_CONFIG`: the settings file, when no argument names one.
    public static var settingsPath: String? { value("MILLRACE_CONFIG") }
    public static var credentialsDirectory: String? { value("CREDENTIALS_DIRECTORY") }
    /// `device:inode` of the journal's stream, set by systemd.
    public static var journalStream: String? { value("JOURNAL_STREAM") }

    private static func value(_ name: String) -> String? {
        guard let text = unsafe getenv(name) else { return nil }
        let value = unsafe String(cString: text)
        return value.isEmpty ? nil : value
    }
}
