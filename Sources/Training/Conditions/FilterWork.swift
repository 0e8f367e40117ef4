import AdapterKit
import Failures
import Generation
import Loading
import Synchronization
import Torch

/// A control filter at work in the threads that load the data: on one image at a time, which takes no further
/// threads of libtorch's, for the other workers are busy with images of their own.
final class FilterWork: Sendable {
    private let filter: any ControlFilter
    private let warn: @Sendable (String) -> Void
    private let hasRefused = Atomic<Bool>(false)

    init(_ filter: any ControlFilter, warn: @escaping @Sendable (String) -> Void) {
        self.filter = filter
        self.warn = warn
    }

    /// The filter in the loader's hands.
    /// - Parameter cache: keeps the conditions that chance has no part in.
    func conditions(cache: EncodingCache?) -> ImageConditions {
        let store = cache.map { cache in
            PreparedStore(salt: cache.salt, lookup: { cache.folder.read($0) }, keep: { cache.keep($0, $1) })
        }
        return ImageConditions(store: store) { try self.condition(of: $0, seed: $1) }
    }

    private func condition(of image: MaskedImage, seed: UInt64) throws -> ImageCondition {
        let engine = try Engine.shared()
        if engine.threads != 1 { try engine.setThreadsOfThisThread(1) }
        return try withoutGradients {
            let generator = try Generator(seed: seed)
            let (pixels, mask) = try ([image].pixels(), [image].masks())
            let (made, isDrawn) = try generator.watching {
                try told { try filter.condition(of: pixels, mask, generator) }
            }
            return ImageCondition(bytes: try ConditionBytes.bytes(of: checked(made.condition)), isDrawn: isDrawn)
        }
    }

    /// Tells why the first image is refused that is; of all of them only the number is told.
    private func told<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let failure as Failure where failure.blame == .input {
            if !hasRefused.exchange(true, ordering: .relaxed) {
                warn("\(type(of: filter).name) refuses an image, which is left out: \(failure)")
            }
            throw failure
        }
    }

    private func checked(_ condition: Tensor) throws -> Tensor {
        guard condition.rank == 4, condition.size(0) == 1, condition.size(1) == filter.channels else {
            throw Failure.run(
                "\(type(of: filter).name) makes no condition of the shape that it says",
                expected: "[1, \(filter.channels), h, w]", got: "\(condition.shape)")
        }
        return condition
    }
}
