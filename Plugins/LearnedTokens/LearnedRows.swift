import Cascade
import Failures
import Torch

/// The embedding of a text encoder in which some rows have a trained delta.
///
/// Only the deltas are trainable; the table is read and never cloned.
final class LearnedRows: TokenEmbedding {
    /// A row that is trained.
    struct Row {
        let id: Int
        /// As it is written in a caption, or as the vocabulary has it.
        let text: String
        /// Whether the base's vocabulary lacks it.
        let isNew: Bool
        /// What it started from.
        let pattern: String?
    }

    let rows: [Row]
    /// Where the rows start, [k, c], float32: the base's own, or an average.
    let start: Tensor
    /// What has been learned, [k, c], float32.
    let delta: Tensor
    /// Multiplies what has been learned; 1 as it was trained.
    var strength = 1.0
    private let table: TokenTable
    private let slots: [Int: Int]

    init(rows: [Row], start: Tensor, delta: Tensor, table: TokenTable) throws {
        self.rows = rows
        self.start = start
        self.delta = delta
        self.table = table
        slots = Dictionary(rows.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        try delta.setRequiresGrad(true)
    }

    /// Where a new token starts, [c], float32: the average of the words that a pattern finds, or zeros without one.
    static func start(
        of pattern: String?, in tokenizer: CLIPTokenizer, _ table: Tensor, at place: Failure.Place?
    ) throws -> Tensor {
        guard let pattern else { return try .zeros([table.size(1)], device: table.device) }
        let ids = try TokenRequest.ids(matching: pattern, in: tokenizer, at: place)
        guard ids.allSatisfy({ $0 < table.size(0) }) else {
            throw Failure.input("a pattern finds a token that the text model has no row for", at: place, got: pattern)
        }
        return try table.gathered(0, Tensor(ids).to(device: table.device)).to(dtype: .float32).mean([0])
    }

    /// Where the rows are now, [k, c], float32.
    private func values() throws -> Tensor { try start + (strength == 1 ? delta : delta * strength) }

    /// Where a row is now, [c], float32.
    func value(at index: Int) throws -> Tensor { try withoutGradients { try values().selected(0, index) } }

    var count: Int { max(table.count, (rows.map(\.id).max() ?? -1) + 1) }

    func callAsFunction(_ tokens: Tensor) throws -> Tensor {
        let ids = try tokens.values(as: Int.self)
        let device = table.weight.device
        func row(_ values: [Int]) throws -> Tensor { try Tensor(values, shape: tokens.shape).to(device: device) }
        if let unknown = ids.first(where: { $0 >= table.count && slots[$0] == nil }) {
            throw Failure.input("a token has an id that is neither in the table nor learned", got: "\(unknown)")
        }
        let plain = try table(row(ids.map { slots[$0] == nil ? $0 : 0 }))  // [B, T, c]
        guard ids.contains(where: { slots[$0] != nil }) else { return plain }
        let learned = try values().embedded(row(ids.map { slots[$0] ?? 0 })).to(dtype: plain.dtype)
        let isLearned = try row(ids.map { slots[$0] == nil ? 0 : 1 }).equals(1).unsqueezed(-1)  // [B, T, 1]
        return try isLearned.choose(learned, plain)
    }
}
