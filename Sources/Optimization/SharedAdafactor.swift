import Torch

/// Adafactor on tensors that processes share: means of rows and columns, and the size of an update, are of all of a tensor, and
/// are added up over the processes in two messages for all tensors together.
extension Adafactor {
    /// What this process steps of a tensor.
    struct Part {
        let slot: Slot<Memory>
        /// Of the part, in float32; it is changed.
        let gradient: Tensor
        let rate: Double
        let weightDecay: Double
        /// How bfloat16 weights are rounded.
        let step: TensorStep?
    }

    func step(_ parts: [Part], gradientScale: Double, among shared: SharedTensors) throws {
        let places = Dictionary(shared.wholes.enumerated().map { ($1.name, $0) }) { first, _ in first }
        func place(_ part: Part) -> Int {
            guard let place = places[part.slot.name] else {
                preconditionFailure("`\(part.slot.name)` is of no tensor that processes share")
            }
            return place
        }
        func squareSums() throws -> Tensor { try .zeros([shared.wholes.count]) }
        func add(_ tensor: Tensor, _ place: Int, to sums: Tensor) throws {
            try sums.sliced(0, place..<place + 1).accumulate(tensor.squared().sum().reshaped([1]))
        }
        func rootMeanSquare(_ sums: Tensor, _ place: Int) throws -> Tensor {
            try (sums.sliced(0, place..<place + 1).reshaped([]) / Double(shared.wholes[place].count)).sqrt()
        }

        let sums = try factors.mapValues { (rows: try $0.rows.zerosAlike(), columns: try $0.columns.zerosAlike()) }
        let weights = try squareSums()
        for part in parts {
            if gradientScale != 1 { try part.gradient.scale(by: gradientScale) }
            if configuration.scalesByParameter {
                try add(part.slot.parameter.detached().to(dtype: .float32), place(part), to: weights)
            }
            let square = try square(part.gradient)
            switch part.slot.memory.squares {
            case .whole(let mean): try follow(mean, square)
            case .factored:
                guard let sums = sums[part.slot.name], let frame = Frame(of: shared.wholes[place(part)]) else {
                    continue
                }
                let matrices = try frame.filled(with: square)
                try frame.rows(of: sums.rows).accumulate(matrices.sum([-1]))
                try frame.columns(of: sums.columns).accumulate(matrices.sum([-2]))
            }
        }
        let factored = shared.wholes.filter { sums[$0.name] != nil }
        try shared.sum(
            factored.flatMap { whole in sums[whole.name].map { [$0.rows, $0.columns] } ?? [] } + [weights])
        for whole in factored {
            guard let (rows, columns) = factors[whole.name], let sums = sums[whole.name] else { continue }
            try follow(rows, sums.rows / Double(whole.shape[whole.shape.count - 1]))
            try follow(columns, sums.columns / Double(whole.shape[whole.shape.count - 2]))
        }

        // Each gradient becomes its update.
        let updates = try squareSums()
        for part in parts {
            switch part.slot.memory.squares {
            case .whole(let mean): try part.gradient.scale(by: mean.reciprocalSqrt())
            case .factored(let rows, let columns):
                guard let frame = Frame(of: shared.wholes[place(part)]) else { continue }
                let factors =
                    try frame.rows(of: rowFactors(rows)).unsqueezed(-1)
                    * frame.columns(of: columns).reciprocalSqrt().unsqueezed(-2)
                try part.gradient.scale(by: frame.part(of: factors))
            }
            try add(part.gradient, place(part), to: updates)
        }
        try shared.sum([updates])
        for part in parts {
            let place = place(part)
            let scale =
                configuration.scalesByParameter
                ? try rootMeanSquare(weights, place).clamped(min: configuration.parameterEpsilon) : nil
            try part.slot.withWeights(part.step) { weights in
                try take(
                    part.gradient, part.slot.memory.mean, weights, size: rootMeanSquare(updates, place), scale: scale,
                    rate: part.rate, weightDecay: part.weightDecay)
            }
        }
    }
}

/// The whole rows of a matrix, or the whole matrices of a larger tensor, that hold a part of its numbers.
private struct Frame {
    /// Of the tensor's numbers.
    private let range: Range<Int>
    private let part: Range<Int>
    /// Of the frame: [matrices, rows, columns].
    private let shape: [Int]
    private let isOneMatrix: Bool

    /// Nil for a tensor without rows and columns.
    init?(of whole: SharedTensors.Whole) {
        guard whole.shape.count >= 2, !whole.part.isEmpty else { return nil }
        let (rows, columns) = (whole.shape[whole.shape.count - 2], whole.shape[whole.shape.count - 1])
        isOneMatrix = whole.count == rows * columns
        let unit = isOneMatrix ? columns : rows * columns
        part = whole.part
        range = part.lowerBound / unit * unit..<(part.upperBound + unit - 1) / unit * unit
        let matrices = isOneMatrix ? 1 : range.count / unit
        shape = [matrices, range.count / matrices / columns, columns]
    }

    private var own: Range<Int> { part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound }

    /// The part's numbers where they are in the frame, the rest zeros, [matrices, rows, columns].
    func filled(with values: Tensor) throws -> Tensor {
        let numbers = try Tensor.zeros([range.count])
        try numbers.sliced(0, own).assign(values.reshaped([-1]))
        return try numbers.reshaped(shape)
    }

    /// The part of numbers of the frame, one after the other.
    func part(of numbers: Tensor) throws -> Tensor { try numbers.reshaped([-1]).sliced(0, own) }

    /// The frame's numbers of one for each row of the tensor, as a view, [matrices, rows].
    func rows(of values: Tensor) throws -> Tensor {
        let first = range.lowerBound / shape[2]
        return try values.reshaped([-1]).sliced(0, first..<first + shape[0] * shape[1]).reshaped([shape[0], shape[1]])
    }

    /// The frame's numbers of one for each column, as a view, [matrices, columns].
    func columns(of values: Tensor) throws -> Tensor {
        let first = isOneMatrix ? 0 : range.lowerBound / shape[1]
        return try values.reshaped([-1]).sliced(0, first..<first + shape[0] * shape[2]).reshaped([shape[0], shape[2]])
    }
}

extension Tensor {
    fileprivate func zerosAlike() throws -> Tensor { try .zeros(shape, device: device) }
}
