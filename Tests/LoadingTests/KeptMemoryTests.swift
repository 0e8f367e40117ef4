import CMemory
import Glibc
import Testing

/// What the allocator keeps of freed memory; a process of its own sees nothing but its own blocks.
@Suite struct KeptMemory {
    @Test func `what is freed is kept, and goes back to the system when it is released`() async {
        await #expect(processExitsWith: .success) {
            cascade_memory_keep(64 << 20)
            let before = try #require(residentMegabytes())
            // Blocks that stay lie between those that go, as long-lived tensors do.
            let blocks = try (0..<512).map { _ in try #require(calloc(1, 64 << 10)) }
            for block in blocks { memset(block, 1, 64 << 10) }
            for (index, block) in blocks.enumerated() where index % 8 != 0 { free(block) }
            let kept = try #require(residentMegabytes())
            #expect(kept > before + 28)
            cascade_memory_release()
            let left = try #require(residentMegabytes())
            #expect(left < before + 8)
        }
    }
}

/// The memory of this process without that of mapped files.
private func residentMegabytes() -> Int? {
    guard let file = fopen("/proc/self/status", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
        let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            .split(whereSeparator: \.isWhitespace)
        if words.first == "RssAnon:", words.count > 1 { return Int(words[1]).map { $0 / 1024 } }
    }
    return nil
}
