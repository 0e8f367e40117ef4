import Cascade
import Torch

/// The ids of captions, each tokenised once, cut behind the longest: no token looks at what follows it.
struct CaptionTokens {
    /// Tokens of the longest caption, start and end included.
    let length: Int
    private let rows: [String: (ids: [Int], mask: [Int])]

    init(_ captions: Set<String>, _ tokenizer: CLIPTokenizer) {
        let rows = Dictionary(uniqueKeysWithValues: captions.map { ($0, tokenizer.encodePadded($0)) })
        length = rows.values.map { $0.mask.reduce(0, +) }.max() ?? 0
        self.rows = rows
    }

    /// Every id that a caption has.
    var ids: Set<Int> { Set(rows.values.flatMap(\.ids)) }

    /// Ids and mask, [count, length] each, for the text encoder.
    func callAsFunction(_ captions: [String]) throws -> (ids: Tensor, mask: Tensor) {
        let found = captions.compactMap { rows[$0] }
        precondition(found.count == captions.count, "every caption was tokenised")
        let shape = [captions.count, length]
        return (
            try Tensor(found.flatMap { $0.ids.prefix(length) }, shape: shape),
            try Tensor(found.flatMap { $0.mask.prefix(length) }, shape: shape)
        )
    }
}
