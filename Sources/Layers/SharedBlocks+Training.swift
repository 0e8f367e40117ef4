import Torch
import Weights

/// A network that processes share and train together: each steps its own part of every block.
extension SharedBlocks {
    /// What this process steps of a trained tensor, as a row that is the weights themselves; nil where it has none of it.
    public func part(of name: String) throws -> Tensor? {
        guard let parts, let training, let place = training.leaves[name]?.place, let range = parts.ownRange(place)
        else {
            return nil
        }
        return try parts.share(place.block).sliced(0, range).viewed(as: training.dtype)
    }

    /// Which of a tensor's numbers, one after the other, ``part(of:)`` is; empty where this process has none.
    public func numbers(of name: String) -> Range<Int> {
        guard let parts, let training, let place = training.leaves[name]?.place, parts.ownRange(place) != nil else {
            return 0..<0
        }
        let own = parts.own(place)
        return (own.lowerBound - place.range.lowerBound..<own.upperBound - place.range.lowerBound).numbers(
            of: training.dtype)
    }

    /// Whether all of a tensor was zero when the network was made, whoever has which part of it.
    public func wasZero(_ name: String) -> Bool { training?.leaves[name]?.wasZero ?? false }

    /// The sum of all gradients of ``part(of:)``, in float32, as a view.
    public func gradient(of name: String) throws -> Tensor? {
        guard let training, let place = training.leaves[name]?.place, let range = parts?.ownRange(place) else {
            return nil
        }
        return try training.sum(place.block, range)
    }

    /// Sets the sums of gradients to zero, for the next update.
    public func clearGradients() throws { try training?.clear() }

    /// Makes passes without leaving gradients, for the sake of other processes.
    public func idly(_ body: () throws -> Void) rethrows {
        training?.isIdle = true
        defer { training?.isIdle = false }
        try body()
    }

    /// Takes other numbers of a tensor.
    public func assign(_ name: String, _ value: Tensor) throws {
        guard let training, let leaf = training.leaves[name] else { return }
        try parts?.keep(value.to(dtype: training.dtype), leaf.place)
    }

    /// All of the network, tensor by tensor; all processes make it together.
    public func stream(of tensors: [(name: String, tensor: Tensor)]) throws -> TensorStream {
        try beginPass()
        let entries = tensors.map { TensorEntry(name: $0.name, dtype: $0.tensor.dtype, shape: $0.tensor.shape) }
        return TensorStream(entries) { [self] position in
            if let leaf = training?.leaves[tensors[position].name] { try require(leaf.place.block) }
            return tensors[position].tensor
        }
    }

    /// What belongs to trained tensors, of which each process has its part, tensor by tensor; all processes make it together.
    /// - Parameter parts: this process's part of each, which of its numbers they are, or nil where each process has all.
    public func stream(ofParts parts: [(entry: TensorEntry, numbers: Range<Int>?, part: Tensor?)]) -> TensorStream {
        TensorStream(parts.map(\.entry)) { [self] position in
            let (entry, numbers, part) = parts[position]
            if numbers == nil, let part { return part }
            let whole = try Tensor.zeros([entry.shape.reduce(1, *)])
            if let numbers, let part { try whole.sliced(0, numbers).assign(part.reshaped([-1])) }
            // Codes of eight bits are added to zeros, which float32 holds exactly.
            try sum([whole])
            return try whole.to(dtype: entry.dtype).reshaped(entry.shape)
        }
    }

    /// A running mean of which this process has its parts, by the parameters' names, as ``stream(of:)`` has the network.
    public func stream(
        ofAverage means: [(name: String, tensor: Tensor)], of tensors: [(name: String, tensor: Tensor)]
    ) -> TensorStream {
        let own = Dictionary(means.map { ($0.name, $0.tensor) }) { first, _ in first }
        return stream(
            ofParts: tensors.map {
                (
                    TensorEntry(name: $0.name, dtype: .float32, shape: $0.tensor.shape), numbers(of: $0.name),
                    own[$0.name]
                )
            })
    }
}
