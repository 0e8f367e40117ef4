import AdapterKit
import Failures
import Models
import Settings
import Torch

/// What every control filter keeps: run each of ``Check`` in a test of its own.
///
///     @Test(arguments: FilterContract.Check.allCases)
///     func keepsTheContract(check: FilterContract.Check) async throws {
///         try await FilterContract(SketchFilter.self)(check)
///     }
public struct FilterContract: Sendable {
    /// One thing that is kept.
    public enum Check: String, CaseIterable, Sendable {
        /// An image of any size has a condition in range, and a preview of its own size.
        case takesAnySize
        /// An even grey image is no trouble.
        case takesEvenGrey
        /// A seed repeats the condition.
        case repeatsBySeed
        /// A batch is its images one by one.
        case takesBatches
        /// Threads may share a filter.
        case isSharedByThreads
        /// An unknown parameter is refused with the nearest name.
        case refusesUnknownParameters
        /// The defaults listed are the defaults.
        case listsItsDefaults
        /// The models that it takes are declared, and those of packages are known to the byte.
        case declaresItsModels
    }

    private let filter: any ControlFilter.Type
    /// Parameters without which the filter can't be made, as YAML by their names.
    public var needs: [String: String] = [:]
    /// Parameters that fix what is drawn for each image and not for a batch, as in a YAML mapping without its braces.
    public var fixed = ""
    /// Whether the condition is numbers of a network and no image: finite, but not in 0...1.
    public var isEncoder = false

    /// The contract of one filter.
    public init(_ filter: any ControlFilter.Type) { self.filter = filter }

    /// - Throws: what is not kept.
    public func callAsFunction(_ check: Check) async throws {
        switch check {
        case .takesAnySize:
            for shape in [[1, 8, 8], [2, 64, 64], [1, 40, 96], [3, 97, 31], [1, 1, 1]] {
                try requireSound(make(), Self.images(shape[0], shape[1], shape[2]))
            }
        case .takesEvenGrey:
            for grey in [0, 0.5, 1] { try requireSound(make(), .full([1, 3, 32, 48], grey)) }
        case .repeatsBySeed: try repeatsBySeed()
        case .takesBatches: try takesBatches()
        case .isSharedByThreads: try await isSharedByThreads()
        case .refusesUnknownParameters: try refusesUnknownParameters()
        case .listsItsDefaults: try listsItsDefaults()
        case .declaresItsModels: try declaresItsModels()
        }
    }

    /// The filter with what it needs and further parameters, as in a YAML mapping without its braces.
    public func make(_ parameters: String = "") throws -> any ControlFilter {
        let written = [parameters].filter { !$0.isEmpty } + needs.map { "\($0): \($1)" }
        return try filter.make(.parse("{" + written.joined(separator: ", ") + "}", file: "filter.yaml"))
    }

    /// Images with straight edges and a gradient, all of different shape and brightness, [count, 3, height, width].
    private static func images(_ count: Int, _ height: Int, _ width: Int) throws -> Tensor {
        let values = (0..<count * 3 * height * width).map { index -> Float in
            let (x, y) = (index % width, index / width % height)
            let (channel, image) = (index / (width * height) % 3, index / (3 * width * height))
            let isInside = x > width / 4 + image && x < width * 3 / 4 && y > height / 4 && y < height * 2 / 3
            return isInside ? 0.9 - 0.1 * Float(channel) - 0.05 * Float(image) : 0.3 * Float(x) / Float(width)
        }
        return try Tensor(values, shape: [count, 3, height, width])
    }

    private func requireSound(_ filter: any ControlFilter, _ images: Tensor) throws {
        let made = try filter(images, generator: Generator(seed: 1))
        let (condition, preview) = (made.condition, made.preview)
        try require(
            condition.rank == 4 && condition.size(0) == images.size(0) && condition.size(1) == filter.channels,
            "the condition of \(images.shape) has \(filter.channels) channels, got \(condition.shape)")
        try require(condition.size(2) > 0 && condition.size(3) > 0, "the condition has a size, got \(condition.shape)")
        try require(preview.shape == images.shape, "the preview of \(images.shape) has its shape, got \(preview.shape)")
        for (name, tensor) in [("condition", condition), ("preview", preview)] where !isEncoder || name == "preview" {
            let values = try tensor.values(as: Float.self)
            try require(values.allSatisfy { (0...1).contains($0) }, "the \(name) of \(images.shape) lies in 0...1")
        }
        try require(try condition.isAllFinite(), "the condition of \(images.shape) is finite")
    }

    private func repeatsBySeed() throws {
        let (filter, images) = (try make(), try Self.images(2, 48, 64))
        let first = try filter(images, generator: Generator(seed: 3))
        let second = try filter(images, generator: Generator(seed: 3))
        try require(
            try first.condition.values(as: Float.self) == second.condition.values()
                && first.preview.values(as: Float.self) == second.preview.values(),
            "a seed repeats condition and preview")
    }

    private func takesBatches() throws {
        let (filter, images) = (try make(fixed), try Self.images(3, 48, 64))
        let whole = try filter(images, generator: Generator(seed: 4)).condition
        for index in 0..<3 {
            let one = try filter(images.sliced(0, index..<index + 1), generator: Generator(seed: 4)).condition
            let difference = try (one - whole.sliced(0, index..<index + 1)).abs().values(as: Double.self).max() ?? 0
            // A network may sum up in another order where images are more.
            try require(
                difference <= (isEncoder ? 1e-4 : 0), "image \(index) alone is as in a batch, off by \(difference)")
        }
        // The images differ, so one filtered for another would show.
        let difference = try (whole.selected(0, 0) - whole.selected(0, 2)).abs().sum().item()
        try require(difference > 0, "different images have different conditions")
    }

    private func isSharedByThreads() async throws {
        let (filter, values) = (try make(), try Self.images(1, 48, 64).values(as: Float.self))
        @Sendable func condition() throws -> [Float] {
            // As the loader's threads do: with more, sums may be rounded in another order.
            try Engine.shared().setThreadsOfThisThread(1)
            return try filter(Tensor(values, shape: [1, 3, 48, 64]), generator: Generator(seed: 4)).condition.values()
        }
        let made = try await withThrowingTaskGroup(of: [Float].self) { group in
            for _ in 0..<4 { group.addTask { try condition() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let alone = try condition()
        try require(made.count == 4 && made.allSatisfy { $0 == alone }, "threads that share it get the same")
    }

    private func refusesUnknownParameters() throws {
        for parameter in filter.parameters.map(\.name) {
            do {
                _ = try make("\(parameter)x: 1")
            } catch let failure as Failure {
                let isTold =
                    failure.blame == .input && failure.what.contains("\(parameter)x")
                    && failure.place == .init("filter.yaml", line: 1, column: 2)
                    && failure.advice?.contains("\"\(parameter)\"") == true
                try require(isTold, "`\(parameter)x` is refused with its place and the nearest name: \(failure)")
                continue
            }
            throw ContractViolation(description: "`\(parameter)x` is refused")
        }
    }

    private func listsItsDefaults() throws {
        let images = try Self.images(1, 48, 64)
        let defaults = filter.parameters.filter { needs[$0.name] == nil }.map { "\($0.name): \($0.defaultValue)" }
            .joined(separator: ", ")
        let (written, plain) = (try make(defaults), try make())
        let stated = try written(images, generator: Generator(seed: 3)).condition
        let unstated = try plain(images, generator: Generator(seed: 3)).condition
        try require(
            try stated.values(as: Float.self) == unstated.values(), "the defaults listed are the defaults")
    }

    private func declaresItsModels() throws {
        let names = filter.models.map(\.name)
        try require(Set(names).count == names.count, "no model is declared twice, got \(names)")
        for file in try filter.make(.parse("", file: "filter.yaml")).modelFiles + make().modelFiles {
            try require(names.contains(file.name), "the model \(file.name) is declared, got \(names)")
        }
        for model in filter.models {
            guard case .package(let package) = model.source else { continue }
            for digest in [package.sha256] + package.files.map(\.sha256) {
                let isDigest = digest.count == 64 && digest.allSatisfy { $0.isHexDigit && !$0.isUppercase }
                try require(isDigest, "\(model.name) is pinned by SHA-256, got \(digest)")
            }
            let files = Set(package.files.map(\.name))
            try require(!files.isEmpty && files.count == package.files.count, "the files of \(model.name) have names")
            let megabytes = package.files.reduce(0) { $0 + $1.bytes } / 1_000_000
            try require(
                abs(megabytes - (model.megabytes ?? megabytes)) <= 1,
                "\(model.name) is as large as it says, got \(megabytes) MB")
        }
    }
}
