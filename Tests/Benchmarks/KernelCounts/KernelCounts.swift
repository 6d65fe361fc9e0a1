// Runs one kernel once, on fixed numbers, so that its instructions can be counted:
//
//     valgrind --tool=callgrind --toggle-collect='*countedRegion*' KernelCounts attention
//
// on a copy without debugging information (strip -g), as valgrind 3.19 cannot read that of the C part.
// Without an argument it lists the kernels; with --time and a name it prints the least of ten runs in microseconds.
// Built only when MILLRACE_BENCHMARKS is set.

import Tensors

@main
enum KernelCounts {
    static func main() {
        setLinearAlgebraThreads(1)
        let arguments = CommandLine.arguments.dropFirst()
        guard let name = arguments.last else {
            for kernel in kernels { print(kernel.name) }
            return
        }
        guard let kernel = kernels.first(where: { $0.name == name }) else {
            print("no kernel \(name); without an argument they are listed")
            return
        }
        let body = kernel.prepare()
        if arguments.first == "--time" {
            let clock = ContinuousClock()
            let least = (0..<10).map { _ in clock.measure { countedRegion(body) } }.min() ?? .zero
            print("\(name) \(least / .microseconds(1)) us")
        } else {
            countedRegion(body)
        }
    }
}

/// What callgrind's toggle names.
@inline(never)
func countedRegion(_ body: () -> Void) { body() }

struct Kernel: Sendable {
    var name: String
    /// Makes the inputs and returns the run.
    var prepare: @Sendable () -> () -> Void
}

/// Numbers about 0, always the same.
func numbers(_ count: Int, _ seed: UInt64 = 1) -> [Float] {
    var x = [Float](repeating: 0, count: count)
    var span = x.mutableSpan
    fillUniform(&span, limit: 1, random: CounterRandom(seed: seed))
    return x
}
