/// Byte-pair encoding of one piece of text: its bytes become symbols, the last one marked as ending the word, and the
/// neighbours with the earliest merge are joined until no merge applies.
struct BytePairEncoding: Sendable {
    struct Pair: Hashable, Sendable {
        var left: Int32
        var right: Int32
    }

    struct Merge: Sendable {
        var rank: Int32
        var result: Int32
    }

    /// Symbols of the 256 bytes inside a word; where the vocabulary lacks one, the unknown token's.
    var inner: [Int32]
    /// Symbols of the 256 bytes at a word's end.
    var final: [Int32]
    var merges: [Pair: Merge]

    /// The character that stands for each byte in vocabularies: itself where it is printable in Latin-1, else the next
    /// free one from U+0100.
    static let characters: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (UInt32(0)..<256).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(UInt8(byte))
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? " "
            }
        }
    }()

    static let endOfWord = "</w>"

    /// The ids of a piece; none for an empty one.
    func encode(_ piece: some Sequence<Unicode.Scalar>) -> [Int32] {
        let bytes = piece.flatMap { UTF8.encode($0).map(Array.init) ?? [] }
        guard let last = bytes.last else { return [] }
        var word = Word(symbols: bytes.dropLast().map { inner[Int($0)] } + [final[Int(last)]])
        word.merge(with: merges)
        return word.remaining
    }
}

/// A piece while it is merged: a linked list of symbols, and a heap of the merges that may apply.
private struct Word {
    private struct Candidate {
        var merge: BytePairEncoding.Merge
        var position: Int

        func precedes(_ other: Candidate) -> Bool {
            (merge.rank, position) < (other.merge.rank, other.position)
        }
    }

    /// The symbol at each place; nil once it is merged into the one before.
    private var symbols: [Int32?]
    private var previous: [Int]
    private var next: [Int]
    private var heap: [Candidate] = []

    init(symbols: [Int32]) {
        self.symbols = symbols
        previous = symbols.indices.map { $0 - 1 }
        next = symbols.indices.map { $0 + 1 }
    }

    var remaining: [Int32] { symbols.compactMap(\.self) }

    mutating func merge(with merges: [BytePairEncoding.Pair: BytePairEncoding.Merge]) {
        for position in symbols.indices { push(position, merges) }
        while let candidate = pop() {
            let position = candidate.position
            // An earlier merge may have changed what stands here.
            guard let current = applicable(at: position, merges), current.result == candidate.merge.result else {
                continue
            }
            let joined = next[position]
            symbols[position] = current.result
            symbols[joined] = nil
            next[position] = next[joined]
            if next[joined] < symbols.count { previous[next[joined]] = position }
            if previous[position] >= 0 { push(previous[position], merges) }
            push(position, merges)
        }
    }

    private func applicable(
        at position: Int, _ merges: [BytePairEncoding.Pair: BytePairEncoding.Merge]
    ) -> BytePairEncoding.Merge? {
        guard next[position] < symbols.count, let left = symbols[position], let right = symbols[next[position]] else {
            return nil
        }
        return merges[BytePairEncoding.Pair(left: left, right: right)]
    }

    private mutating func push(_ position: Int, _ merges: [BytePairEncoding.Pair: BytePairEncoding.Merge]) {
        guard let merge = applicable(at: position, merges) else { return }
        heap.append(Candidate(merge: merge, position: position))
        var child = heap.count - 1
        while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() -> Candidate? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while 2 * parent + 1 < heap.count {
            var child = 2 * parent + 1
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
