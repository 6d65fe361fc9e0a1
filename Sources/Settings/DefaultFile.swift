// The annotated settings file, rendered from the table of keys: Config/millrace.yaml is this text, byte for byte.

extension SettingsFile {
    /// Every key with its meaning, type, bounds, default and when a change takes effect.
    public static var defaults: String { text(of: MillraceSettings()) }

    /// The same file with these values; reads back as the same settings.
    public static func text(of settings: MillraceSettings) -> String {
        var text = header
        var open: [String] = []
        for key in SettingKey.all {
            let names = key.path.split(separator: ".").map(String.init)
            let groups = Array(names.dropLast())
            let shared = zip(open, groups).prefix { $0 == $1 }.count
            for depth in shared..<groups.count {
                let path = groups[...depth].joined(separator: ".")
                let indent = indent(depth)
                if depth == 0 { text += "\n" }
                if let summary = SettingKey.sections.first(where: { $0.path == path })?.summary {
                    text += depth == 0 ? "\(indent)## \(summary)\n" : "\n\(indent)# \(summary)\n"
                }
                text += "\(indent)\(groups[depth]):\n"
            }
            open = groups
            text += entry(key, names[names.count - 1], indent(groups.count), settings)
        }
        return text
    }

    private static func entry(
        _ key: SettingKey, _ name: String, _ indent: String, _ settings: MillraceSettings
    ) -> String {
        var text = comment(key.summary, indent)
        text += comment("[\(key.annotation); \(key.effect.rawValue)]", indent)
        let lines = key.render(settings).split(separator: "\n")
        if lines.count > 1 || lines.first?.hasPrefix("- ") == true {
            text += "\(indent)\(name):\n"
            return text + lines.map { "\(indent)  \($0)\n" }.joined()
        }
        return text + "\(indent)\(name): \(lines.first ?? "null")\n"
    }

    /// A paragraph as comment lines of at most `columnsMax`.
    private static func comment(_ paragraph: String, _ indent: String) -> String {
        var text = ""
        var line = ""
        for word in paragraph.split(whereSeparator: \.isWhitespace) {
            if !line.isEmpty, indent.count + 3 + line.count + word.count > columnsMax {
                text += "\(indent)#\(line)\n"
                line = ""
            }
            line += " \(word)"
        }
        return text + "\(indent)#\(line)\n"
    }

    private static let columnsMax = 100

    private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }

    private static let header = """
        # Settings of Millrace. Every key is optional: what is written here is its default.
        #
        # Read from the file named by --config, else by MILLRACE_CONFIG, else from
        # \(defaultPath). Check a file with `millrace check-config FILE`: every fault
        # is told with its place. A reload (SIGHUP, systemctl reload) with a faulty file changes
        # nothing. Brackets hold type, bounds, and what makes a change take effect: reload, restart.
        #
        # duration   whole numbers with d, h, m, s, ms, us, largest first: 2d, 1h30m, 250ms
        # size       a whole number with B, KiB, MiB, GiB, TiB: 64KiB
        # null       no value
        # secret     {file: /absolute/path} or {credential: name}, for LoadCredential=name:/path

        """
}
