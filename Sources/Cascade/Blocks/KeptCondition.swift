import Torch

/// What a stage makes of its condition alone, kept from step to step: tokens, the keys and values of every attention block,
/// maps of images. It holds for one condition in one size, and for as long as neither weights nor adapters change.
public final class KeptCondition {
    private var made: [ObjectIdentifier: Tensor] = [:]

    /// Nothing is kept yet.
    public init() {}

    fileprivate func value(of maker: AnyObject, _ make: () throws -> Tensor) rethrows -> Tensor {
        if let known = made[ObjectIdentifier(maker)] { return known }
        let value = try make()
        made[ObjectIdentifier(maker)] = value
        return value
    }
}

extension KeptCondition? {
    /// What a part of a network makes of the condition: once where it is kept, else each time.
    /// - Parameter maker: the part, which makes one thing of the condition.
    func value(of maker: AnyObject, _ make: () throws -> Tensor) rethrows -> Tensor {
        guard let self else { return try make() }
        return try self.value(of: maker, make)
    }
}
