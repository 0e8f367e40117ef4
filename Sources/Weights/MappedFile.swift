import Failures
import Glibc

/// A file mapped into memory, to which no change is ever written; unmapped when the last reference goes.
///
/// Its pages belong to the file: the system drops and reads them again as it likes, and they count as nobody's memory.
public final class MappedFile {
    /// As it was opened, for messages.
    public let path: String
    /// All of the file, which live as long as this object; empty for an empty file.
    public let bytes: UnsafeRawBufferPointer
    /// Whether the pages are a file's, which come again when they are asked for.
    private let isOfFile: Bool

    /// - Throws: a failure of the input where it can't be opened or is no regular file; one of the run where it can't
    ///   be mapped.
    public init(_ path: String) throws {
        self.path = path
        isOfFile = true
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure.input("cannot be opened (\(String(cString: strerror(errno))))", at: Failure.Place(path))
        }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            throw Failure.input("not a regular file", at: Failure.Place(path))
        }
        guard facts.st_size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        // Private and writable: a stray write by an operator copies the page instead of ending the process.
        guard let start = mmap(nil, Int(facts.st_size), PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0),
            start != MAP_FAILED
        else { throw Failure.run("cannot be mapped (\(String(cString: strerror(errno))))", at: Failure.Place(path)) }
        bytes = UnsafeRawBufferPointer(start: start, count: Int(facts.st_size))
    }

    /// Bytes that were read already, laid out as a mapping would have them; `path` is for messages.
    init(copying content: [UInt8], path: String) throws {
        self.path = path
        isOfFile = false
        guard !content.isEmpty else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard
            let start = mmap(nil, content.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED
        else { throw Failure.run("no memory for \(content.count) bytes", at: Failure.Place(path)) }
        let copy = UnsafeMutableRawBufferPointer(start: start, count: content.count)
        copy.copyBytes(from: content)
        bytes = UnsafeRawBufferPointer(copy)
    }

    /// Takes the pages that lie whole within a range out of memory; nobody may have written to them. They come again when
    /// they are asked for.
    func release(_ range: Range<Int>) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let (from, to) = ((range.lowerBound + page - 1) / page * page, range.upperBound / page * page)
        guard isOfFile, page > 0, from < to, let start = bytes.baseAddress else { return }
        madvise(UnsafeMutableRawPointer(mutating: start + from), to - from, MADV_DONTNEED)
    }

    deinit {
        guard let start = bytes.baseAddress else { return }
        munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
    }
}
