// What can go wrong between us and Redis, sorted by what has to be done about it: the one funnel every failure goes
// through.

import Ports

/// A failure of one exchange or one command.
struct Fault: Error, Hashable {
    enum Remedy: Hashable {
        /// The connection is gone or out of step: connect again, then repeat.
        case reconnect
        /// As `reconnect`; the server owed an answer for too long.
        case reconnectAfterTimeout
        /// The server answers, but cannot do it now: repeat after a pause.
        case wait
        /// Our functions are not there: load them, then repeat.
        case loadFunctions
        /// Somebody has to change rights, configuration or version first.
        case intervene
        /// What is stored is not what we wrote.
        case giveUp
    }

    var remedy: Remedy
    var reason: String

    init(_ remedy: Remedy, _ reason: String) {
        self.remedy = remedy
        self.reason = reason
    }

    var dropsConnection: Bool { remedy == .reconnect || remedy == .reconnectAfterTimeout }

    var portError: PortError {
        switch remedy {
        case .reconnect, .wait, .loadFunctions: PortError(.unavailable, reason)
        case .reconnectAfterTimeout: PortError(.timeout, reason)
        case .intervene: PortError(.refused, reason)
        case .giveUp: PortError(.corrupt, reason)
        }
    }

    /// Sorts an error reply of the server at `place`.
    static func classify(_ text: String, at place: String) -> Fault {
        let code = text.prefix { $0 != " " }
        func fault(_ remedy: Remedy, _ words: String) -> Fault {
            Fault(remedy, "Redis at \(place) \(words) (\(text.prefix(textMax)))")
        }
        switch code {
        case "LOADING": return fault(.wait, "is loading its data: waiting until it is done")
        case "OOM":
            return fault(.wait, "is full: raise maxmemory, or lower the memory budgets of Millrace")
        case "BUSY": return fault(.wait, "is busy with a script: waiting")
        case "MISCONF":
            return fault(.wait, "cannot persist and takes no writes: look at its disk and log")
        case "NOREPLICAS": return fault(.wait, "lacks the replicas it needs to take writes")
        case "MASTERDOWN": return fault(.reconnect, "is a replica that lost its master")
        case "TRYAGAIN", "CLUSTERDOWN": return fault(.wait, "is a cluster that is not ready")
        case "READONLY":
            // After a failover the address may lead to another server.
            return fault(.reconnect, "is a read-only replica: point redis.address to the master")
        case "NOPERM":
            return fault(.intervene, "refuses a command to our user: widen its ACL")
        case "WRONGPASS", "NOAUTH":
            return fault(.intervene, "refuses our login: check redis.user and redis.password")
        case "MOVED", "ASK":
            return fault(
                .intervene,
                "is a Redis Cluster, which this version does not support: use a single Redis server"
            )
        case "WRONGTYPE", "CORRUPT":
            return fault(.giveUp, "holds something under our keys that Millrace did not write")
        default: return classifyGeneric(text, fault)
        }
    }

    /// The many meanings of `-ERR`.
    private static func classifyGeneric(
        _ text: String, _ fault: (Remedy, String) -> Fault
    ) -> Fault {
        if text.contains("Function not found") {
            return fault(.loadFunctions, "lost our functions")
        }
        if text.contains("unknown command") {
            return fault(.intervene, "is too old or renames commands: Redis 7.0 or newer is needed")
        }
        if text.contains("AUTH") || text.contains("Password") {
            return fault(.intervene, "refuses our login: check redis.user and redis.password")
        }
        if text.contains("max number of clients") { return fault(.reconnect, "has no free client") }
        return fault(.intervene, "refused a command")
    }

    /// How much of a server's error text is passed on.
    private static let textMax = 200
}
