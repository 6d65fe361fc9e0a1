// One executable: the daemon, and the tools around it, so that operators and tests drive the same code.

import ArgumentParser

@main
struct Millrace: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "millrace",
        abstract: "A streaming recommender: Kafka in, live personal feeds out.",
        version: version,
        subcommands: [
            ServeCommand.self, DemoCommand.self, ReplayCommand.self, DoctorCommand.self,
            CheckConfigCommand.self, PlanCommand.self, RepartitionCommand.self,
            RecommendCommand.self,
            WatchCommand.self,
            ExplainCommand.self, ImportCommand.self, SimulateCommand.self, EvalCommand.self,
            TrainCommand.self, TrainRankerCommand.self, RefreshCommand.self, ModelCommand.self,
            DeadLetterCommand.self, BrokerCommand.self, WithParentCommand.self,
        ])
}
