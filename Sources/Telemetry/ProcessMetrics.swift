// What the kernel says of this process, under the names every Prometheus dashboard knows.

import Glibc

struct ProcessMetrics: Sendable {
    var residentBytes: Int?
    var virtualBytes: Int?
    var cpuSeconds: Double
    var openDescriptors: Int?
    var descriptorsMax: Int
    /// Seconds since 1970.
    var startSeconds: Double?

    static func now() -> ProcessMetrics {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let page = sysconf(Int32(_SC_PAGESIZE))
        let pages = words(of: "/proc/self/statm").compactMap { Int($0) }
        return ProcessMetrics(
            residentBytes: pages.count > 1 ? pages[1] * page : nil,
            virtualBytes: pages.first.map { $0 * page },
            cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            openDescriptors: descriptorCount(),
            descriptorsMax: Int(clamping: limit.rlim_cur), startSeconds: startSeconds)
    }

    func write(to text: inout MetricsText) {
        if let residentBytes {
            text.single(
                "process_resident_memory_bytes", .gauge, "Resident memory.", residentBytes)
        }
        if let virtualBytes {
            text.single("process_virtual_memory_bytes", .gauge, "Virtual memory.", virtualBytes)
        }
        text.single(
            "process_cpu_seconds_total", .counter, "User and system CPU time.", cpuSeconds)
        if let openDescriptors {
            text.single("process_open_fds", .gauge, "Open file descriptors.", openDescriptors)
        }
        text.single("process_max_fds", .gauge, "Limit of open file descriptors.", descriptorsMax)
        if let startSeconds {
            text.single(
                "process_start_time_seconds", .gauge, "Start of the process since 1970.",
                startSeconds)
        }
    }

    /// Ticks since boot (field 22 of /proc/self/stat) after the moment of booting.
    private static let startSeconds: Double? = {
        let stat = String(decoding: contents(of: "/proc/self/stat"), as: UTF8.self)
        guard let name = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: name)...].split(separator: " ")
        guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        let boot = seconds(of: CLOCK_REALTIME) - seconds(of: CLOCK_BOOTTIME)
        return boot + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }()

    private static func seconds(of clock: clockid_t) -> Double {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func seconds(_ time: timeval) -> Double {
        Double(time.tv_sec) + Double(time.tv_usec) / 1e6
    }

    private static func descriptorCount() -> Int? {
        guard let folder = unsafe opendir("/proc/self/fd") else { return nil }
        defer { unsafe closedir(folder) }
        var count = 0
        while unsafe readdir(folder) != nil { count += 1 }
        // ".", ".." and the folder itself.
        return max(0, count - 3)
    }

    private static func words(of path: String) -> [Substring] {
        String(decoding: contents(of: path), as: UTF8.self).split(separator: " ")
    }

    private static func contents(of path: String) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = unsafe read(descriptor, &chunk, chunk.count)
            guard count > 0, bytes.count < 1 << 20 else { return bytes }
            bytes += chunk[..<count]
        }
    }
}
