// Teachers as people name them, in settings and on the command line: `ease:lambda=300,decay=0.5`.

extension TeacherRegistry {
    /// A teacher by name, with the parameters behind the colon set; it has learnt nothing.
    public static func teacher(
        described text: some StringProtocol
    ) throws(ParameterFault) -> any Teacher {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts.first ?? "")
        guard var teacher = teacher(named: name) else {
            let known = all.map { $0.name }.joined(separator: ", ")
            throw ParameterFault(description: "there is no teacher '\(name)'; there are: \(known)")
        }
        guard parts.count == 2 else { return teacher }
        for setting in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
            let pair = setting.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let value = Double(pair[1]) else {
                throw ParameterFault(
                    description: "\(name): '\(setting)' is not a parameter=number")
            }
            try teacher.set(String(pair[0]), to: value)
        }
        return teacher
    }
}
