import Glibc

/// Watches how much memory of its own the process has: RssAnon + RssShmem, without the pages of mapped files.
final class PeakMemory: @unchecked Sendable {
    private var lock = pthread_mutex_t()
    private var peakKilobytes = 0

    init() {
        pthread_mutex_init(&lock, nil)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let memory = Unmanaged<PeakMemory>.fromOpaque(context).takeUnretainedValue()
                while true {
                    memory.look()
                    usleep(5000)
                }
            }, context)
    }

    /// Forgets what was seen so far.
    func reset() {
        pthread_mutex_lock(&lock)
        peakKilobytes = 0
        pthread_mutex_unlock(&lock)
        look()
    }

    /// The most since the last reset, in bytes.
    var bytes: Int {
        pthread_mutex_lock(&lock)
        defer { pthread_mutex_unlock(&lock) }
        return peakKilobytes * 1024
    }

    private func look() {
        guard let file = fopen("/proc/self/status", "r") else { return }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        var sum = 0
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard text.hasPrefix("RssAnon:") || text.hasPrefix("RssShmem:") else { continue }
            sum += Int(text.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first ?? "") ?? 0
        }
        pthread_mutex_lock(&lock)
        peakKilobytes = max(peakKilobytes, sum)
        pthread_mutex_unlock(&lock)
    }
}
