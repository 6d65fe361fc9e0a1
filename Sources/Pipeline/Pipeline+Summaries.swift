// A writer's jobs go out, its answers come back to the engine's lane; and clients ask for what is kept.

public import Interactions
public import Ports
import Summaries

extension Pipeline {
    func summarise(_ job: SummaryJob) {
        writer?.summarise(job.request) { [self] result in
            perform { $0.summarised(job.id, result) }
        }
    }

    public func summary(of user: UserID, reply: @escaping Reply<SummaryView?>) {
        admit(reply) { $0.summary(of: user, reply: $1) }
    }
}
