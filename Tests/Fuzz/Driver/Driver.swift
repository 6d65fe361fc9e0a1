// Between libFuzzer's C and a target's law.

import FuzzLaws
import Glibc
import Synchronization

typealias FuzzCallback = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

@_silgen_name("LLVMFuzzerRunDriver")
func runLibFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ callback: FuzzCallback
) -> CInt

enum Driver {
    /// libFuzzer's callback carries no context.
    private static let chosen = Mutex<FuzzTarget?>(nil)

    static func run(_ arguments: [String]) -> Never {
        switch arguments.dropFirst().first {
        case "--list":
            for target in FuzzTarget.all { print(target.name) }
            exit(0)
        case "--seeds":
            guard arguments.count == 4 else { usage() }
            write(seedsOf: target(named: arguments[2]), to: arguments[3])
        case let name?: fuzz(target(named: name), arguments.prefix(1) + arguments.dropFirst(2))
        case nil: usage()
        }
    }

    private static func target(named name: String) -> FuzzTarget {
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else { usage() }
        return target
    }

    private static func usage() -> Never {
        let names = FuzzTarget.all.map(\.name).joined(separator: " ")
        say(
            "Fuzz --list | --seeds TARGET DIR | TARGET [libFuzzer's flags] CORPUS; targets: \(names)"
        )
        exit(64)
    }

    private static func say(_ text: String) {
        _ = unsafe (text + "\n").utf8CString.withUnsafeBufferPointer {
            unsafe Glibc.write(2, $0.baseAddress, $0.count - 1)
        }
    }

    private static func write(seedsOf target: FuzzTarget, to folder: String) -> Never {
        for (index, seed) in target.seeds.enumerated() {
            let file = unsafe fopen("\(folder)/seed-\(index)", "w")
            guard let file = unsafe file else {
                say("cannot write into \(folder)")
                exit(73)
            }
            unsafe fwrite(seed, 1, seed.count, file)
            unsafe fclose(file)
        }
        exit(0)
    }

    private static func fuzz(_ target: FuzzTarget, _ arguments: ArraySlice<String>) -> Never {
        chosen.withLock { $0 = target }
        var list = unsafe arguments.map { unsafe strdup($0) } + [nil]
        var count = CInt(arguments.count)
        let status = unsafe list.withUnsafeMutableBufferPointer { buffer in
            var start = buffer.baseAddress
            return unsafe withUnsafeMutablePointer(to: &start) {
                unsafe runLibFuzzer(&count, $0) { unsafe Driver.check($0, $1) }
            }
        }
        exit(status)
    }

    private static func check(_ start: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
        let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: size))
        guard let target = chosen.withLock({ $0 }) else { return 0 }
        do throws {
            try target.check(bytes)
            return 0
        } catch {
            say("law of \(target) broken: \(error)")
            abort()
        }
    }
}
