// What a reload means: which keys changed, which of them take effect now, which wait for a restart.

/// One key whose value differs.
public struct SettingsChange: Sendable, Hashable {
    public var key: String
    /// As YAML.
    public var before: String
    public var after: String
    public var effect: SettingEffect
}

extension MillraceSettings {
    /// The keys that differ, in the order of the file.
    public static func changes(
        from old: MillraceSettings, to new: MillraceSettings
    ) -> [SettingsChange] {
        SettingKey.all.filter { !$0.areEqual(old, new) }.map { key in
            SettingsChange(
                key: key.path, before: key.render(old), after: key.render(new), effect: key.effect)
        }
    }
}
