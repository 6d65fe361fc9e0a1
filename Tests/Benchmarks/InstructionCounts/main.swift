// What `make counts` runs under callgrind: InstructionCounts NAME prepares, then measures its work once. Only what
// `measured` calls is counted.

import Glibc

let counts: [String: () -> Void] = [
    "event": countEvent, "fit": countFit, "mixture": countMixture, "recommend": countRecommend,
    "resp": countRESP,
]
guard CommandLine.arguments.count == 2, let count = counts[CommandLine.arguments[1]] else {
    print("InstructionCounts \(counts.keys.sorted().joined(separator: " | "))")
    exit(64)
}
count()

/// The region that is counted: callgrind is told this function's name.
@inline(never)
func measured(_ body: () -> Void) { body() }

/// A result nobody needs must not be optimised away, nor a mistake go unseen.
func expect(_ holds: Bool, _ what: String) {
    guard !holds else { return }
    print("InstructionCounts: \(what)")
    exit(70)
}
