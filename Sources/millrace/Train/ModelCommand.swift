// `millrace model`: the adapters of a model, which of them serves, and why. `systemctl reload millrace` makes the
// daemon look again.

import ArgumentParser
import ModelFolders

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "List adapters of a model, go back to one, pin one.",
        discussion: "What changes here serves after a reload of the daemon.",
        subcommands: [List.self, RollBack.self, Pin.self, Unpin.self])

    struct Store: ParsableArguments {
        @Option(help: "The base: model.folder.") var model: String
        @Option(help: "The folder of adapters: model.adapters.") var adapters: String

        var opened: AdapterStore {
            get throws {
                AdapterStore(folder: adapters, base: try ItemModelFolder(path: model))
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Versions, which serves, and the ledger of decisions.")
        @OptionGroup var store: Store

        func run() throws {
            let store = try store.opened
            let current = store.current?.version
            print("base\(current == nil ? "  serves" : "")")
            for version in store.versions {
                let marks = [
                    version == current ? "serves" : "", version == store.pinned ? "pinned" : "",
                ]
                print(([version] + marks.filter { !$0.isEmpty }).joined(separator: "  "))
            }
            for line in try store.ledger() {
                print("\(line.at) \(line.decision) \(line.version) \(line.reason)")
            }
        }
    }

    struct RollBack: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rollback", abstract: "Go back to the version before, or to a given one.")
        @OptionGroup var store: Store
        @Argument(help: "A version of the list.") var version: String?

        func run() throws {
            print(try store.opened.rollBack(to: version) ?? "base")
        }
    }

    struct Pin: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keep a version, the current one unless given: refreshes are refused.")
        @OptionGroup var store: Store
        @Argument(help: "A version of the list.") var version: String?

        func run() throws { try store.opened.pin(version) }
    }

    struct Unpin: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let refreshes go on.")
        @OptionGroup var store: Store

        func run() throws { try store.opened.unpin() }
    }
}
