/// Random numbers that belong to samples: computed from a seed, the update, the sample's place in it and what they are
/// for, never from what was drawn before.
///
/// So a sample has the same noise whatever batch it comes in, and a pass that is computed again drops the same. By
/// Philox 4x32-10 (Salmon et al. 2011); drawn on the CPU, but for dropout, and the same on every device.
public struct Draws: Sendable {
    /// What numbers are for. Each purpose has numbers of its own, and further ones for each position.
    public enum Purpose: Int, Sendable {
        /// What is added to clean latents, or stands for them at the start of a sampler.
        case noise = 1
        /// Of a channel as a whole.
        case offset
        /// By the number of the addition.
        case pyramid
        /// The noise level.
        case level
        /// Whether the caption is left out.
        case caption
        /// Whether the image's embedding is left out.
        case image
        /// Whether the EffNet latents are left out.
        case effnet
        /// How much smaller the image is for the EffNet encoder.
        case effnetScale
        /// Dropout of the network, by block.
        case network
        /// Dropout of an adapter, by module.
        case adapter
        /// Fresh noise of a sampler, by step.
        case sampling
        /// Which way trained weights are rounded; their tensor counts as a sample.
        case rounding
    }

    /// A sample.
    private struct Row {
        var seed: UInt64
        /// Within the update, 32 bits.
        let place: Int
    }

    private var rows: [Row]
    /// From 0, 32 bits.
    private let update: Int

    /// How many samples there are.
    public var count: Int { rows.count }

    private static let positionBits = 24

    /// - Parameters:
    ///   - stream: keeps apart what one seed serves.
    ///   - update: the number of the update that is drawn for.
    ///   - places: of the samples among all of the update, each below 2^32.
    public init(seed: UInt64, stream: UInt64 = 0, update: Int = 0, places: Range<Int>) {
        let seed = SplitMix64.mixed(seed ^ SplitMix64.mixed(stream))
        rows = places.map { Row(seed: seed, place: $0) }
        self.update = update
    }

    /// The samples of several draws as those of one batch.
    public init?(joining draws: [Draws]) {
        guard let first = draws.first, draws.allSatisfy({ $0.update == first.update }) else { return nil }
        rows = draws.flatMap(\.rows)
        update = first.update
    }

    /// Of some of the samples, by their order.
    public subscript(indices: some Sequence<Int>) -> Draws {
        var draws = self
        draws.rows = indices.map { rows[$0] }
        return draws
    }

    /// Of the first sample that the update has, whichever samples these are: for what all of them share.
    public var shared: Draws {
        var draws = self
        draws.rows = rows.prefix(1).map { Row(seed: $0.seed, place: 0) }
        return draws
    }

    /// Other numbers for the same samples, by which of several like things they are for.
    public func branch(_ number: Int) -> Draws {
        var draws = self
        let branch = SplitMix64.mixed(UInt64(bitPattern: Int64(number)))
        for index in draws.rows.indices { draws.rows[index].seed = SplitMix64.mixed(rows[index].seed ^ branch) }
        return draws
    }

    /// Standard normal numbers, [samples] + shape, float32.
    public func normal(
        _ purpose: Purpose, _ shape: [Int] = [], position: Int = 0, device: Device = .cpu
    ) throws -> Tensor {
        try drawn(Operators.philoxNormal, purpose, shape, position).to(device: device)
    }

    /// Numbers uniform in 0..<1, multiples of 2^-24, [samples] + shape, float32.
    public func uniform(
        _ purpose: Purpose, _ shape: [Int] = [], position: Int = 0, device: Device = .cpu
    ) throws -> Tensor {
        try drawn(Operators.philoxUniform, purpose, shape, position).to(device: device)
    }

    private func drawn(_ op: Operator, _ purpose: Purpose, _ shape: [Int], _ position: Int) throws -> Tensor {
        let count = shape.reduce(1, *)
        return try op(
            .ints(seeds), .int(stream(purpose, position)), .int(update), .ints(places), .int(count)
        ).reshaped([rows.count] + shape)
    }

    /// Zeros at random places of x [samples, ...], the rest divided by 1 - rate, in its shape and dtype.
    ///
    /// An element's fate goes by 16 bits, so a rate is as good as its nearest multiple of 2^-16.
    /// - Parameter rate: at least 0 and below 1.
    public func dropping(_ rate: Double, of x: Tensor, _ purpose: Purpose, position: Int) throws -> Tensor {
        try Operators.philoxDropout(
            .tensor(x), .double(rate), .ints(seeds), .int(stream(purpose, position)), .int(update), .ints(places))
    }

    /// Writes float32 numbers into a bfloat16 tensor of their shape, each rounded stochastically so that the mean of
    /// many draws is the number itself. In place and outside the graph.
    /// - Parameter first: where in a larger tensor these numbers begin, a multiple of 128: they are rounded as all of it would
    ///   be.
    /// - Precondition: the draws are of one sample, which stands for the tensor.
    public func round(_ values: Tensor, into rounded: Tensor, from first: Int = 0) throws {
        precondition(rows.count == 1, "a tensor is rounded by the draws of one sample")
        try withoutGradients {
            _ = try Operators.roundByChance.call([
                .tensor(rounded), .tensor(values), .int(seeds[0]), .int(stream(.rounding, 0)), .int(update),
                .int(places[0]), .bool(true), .int(first),
            ])
        }
    }

    /// ``Tensor/attention(own:condition:heads:)``, where `rate` of the softmax [samples, heads, N, keys] is dropped as
    /// ``dropping(_:of:_:position:)`` would drop it.
    public func attention(
        own: Tensor, condition: Tensor, heads: Int, dropping rate: Double, _ purpose: Purpose, position: Int
    ) throws -> Tensor {
        try Operators.fusedAttention(
            .tensor(own), .tensor(condition), .int(heads), .double(rate), .ints(seeds),
            .int(stream(purpose, position)), .int(update), .ints(places))
    }

    private var seeds: [Int] { rows.map { Int(truncatingIfNeeded: $0.seed) } }
    private var places: [Int] { rows.map(\.place) }

    private func stream(_ purpose: Purpose, _ position: Int) -> Int {
        precondition(0 <= position && position < 1 << Self.positionBits, "a position has 24 bits")
        return purpose.rawValue << Self.positionBits | position
    }
}

/// The mixer that spreads one number over all bits.
enum SplitMix64 {
    /// One step of splitmix64.
    static func mixed(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
