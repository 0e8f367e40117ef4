import Torch
import Weights

/// A network that processes share and train together, in float32: each steps its own part of every block.
extension SharedBlocks {
    /// What this process steps of a trained tensor, as a row of float32 that is the weights themselves; nil where it has none
    /// of it.
    public func part(of name: String) throws -> Tensor? {
        guard let parts, let place = training?.leaves[name]?.place, let range = parts.ownRange(place) else {
            return nil
        }
        return try parts.share(place.block).sliced(0, range).viewed(as: .float32)
    }

    /// Some numbers of a tensor's shape, cut down to what ``part(of:)`` is of it.
    public func part(of name: String, in value: Tensor) throws -> Tensor? {
        guard let parts, let place = training?.leaves[name]?.place, parts.ownRange(place) != nil else { return nil }
        let own = parts.own(place)
        let range = own.lowerBound - place.range.lowerBound..<own.upperBound - place.range.lowerBound
        return try value.reshaped([-1]).sliced(0, range.numbers)
    }

    /// The sum of all gradients of ``part(of:)``, as a view.
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
        guard let leaf = training?.leaves[name] else { return }
        try parts?.keep(value.to(dtype: .float32), leaf.place)
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
    /// - Parameter parts: the tensors' names, what belongs to them is called, and this process's part of it.
    public func stream(ofParts parts: [(name: String, called: String, part: Tensor?)]) -> TensorStream {
        let entries = parts.map { part in
            TensorEntry(name: part.called, dtype: .float32, shape: training?.leaves[part.name]?.tensor.shape ?? [])
        }
        return TensorStream(entries) { [self] position in
            let whole = try Tensor.zeros(entries[position].shape)
            if let part = parts[position].part {
                try self.part(of: parts[position].name, in: whole)?.assign(part)
            }
            try self.parts?.group.sum([whole])
            return whole
        }
    }

    /// A running mean of which this process has its parts, by the parameters' names, as ``stream(of:)`` has the network.
    public func stream(
        ofAverage means: [(name: String, tensor: Tensor)], of tensors: [(name: String, tensor: Tensor)]
    ) -> TensorStream {
        let own = Dictionary(means.map { ($0.name, $0.tensor) }) { first, _ in first }
        return stream(ofParts: tensors.map { ($0.name, $0.name, own[$0.name]) })
    }
}
