// The teachers that the settings name.

import Pipeline
import Recommender
import Settings
import Teachers

extension MillraceSettings {
    /// Settings whose teachers exist, too.
    static func loadChecked(
        argument: String?, checkingSecrets: Bool = true
    ) throws(SettingsError) -> MillraceSettings {
        let settings = try SettingsFile.load(argument: argument, checkingSecrets: checkingSecrets)
        do throws(ParameterFault) { _ = try settings.enabledTeachers() } catch {
            let file = SettingsFile.path(argument: argument) ?? "the embedded defaults"
            throw SettingsError(problems: [
                SettingsProblem(file: file, key: "teachers.enabled", what: "\(error)")
            ])
        }
        return settings
    }

    /// Throws for a name or a parameter that does not exist, and for a teacher named twice.
    func enabledTeachers() throws(ParameterFault) -> [any Teacher] {
        var found: [any Teacher] = []
        for text in teachers.enabled {
            let teacher = try TeacherRegistry.teacher(described: text)
            guard ![SequentialRules.name, PopularityTeacher.name].contains(teacher.name) else {
                throw ParameterFault(
                    description: "\(teacher.name) is always enabled: set it by \(teacher.name).*")
            }
            guard !found.contains(where: { $0.name == teacher.name }) else {
                throw ParameterFault(description: "\(teacher.name) is named twice")
            }
            found.append(teacher)
        }
        return found
    }
}

extension Assembly {
    /// None for settings that `loadChecked` refuses.
    var teachers: [any Teacher] { (try? settings.enabledTeachers()) ?? [] }

    /// Co-occurrence is counted when somebody reads it: it is the larger part of the work.
    var cooccurrenceReach: Int {
        guard teachers.contains(where: { type(of: $0).readsCooccurrence }) else { return 0 }
        return min(settings.teachers.cooccurrenceReach, settings.engine.historyMax)
    }

    func configureTeachers(_ to: inout PipelineConfiguration) {
        to.teachers = teachers
        to.solveIntervalMilliseconds = settings.teachers.solveInterval.wholeMilliseconds
        to.externalIntervalMilliseconds = settings.teachers.externalInterval.wholeMilliseconds
        to.solveHistoryBytesMax = settings.teachers.historiesBytesMax
        to.storedModelBytesMax = settings.teachers.storedBytesMax
    }
}
