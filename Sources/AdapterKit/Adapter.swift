import Torch

/// Something small that changes what a frozen model computes: LoRA layers, learned tokens, a ControlNet.
///
/// A new adapter computes what the model computed before; detached, it leaves the model as it was.
public protocol Adapter: AnyObject {
    /// The kind that it is of, by which files hold it.
    var kind: any AdapterKind { get }

    /// What an optimizer trains, float32, by its key in the adapter's file.
    var parameters: [(name: String, tensor: Tensor)] { get }

    /// Whether weight decay applies: it does to weights, not to what stands for a word.
    var decays: Bool { get }

    /// Sets what its dropout draws from, where it has any, in every pass from now on; nil turns dropout off.
    /// - Parameter draws: of the samples that pass, in their order.
    func setDropout(_ draws: Draws?)

    /// Multiplies all that it adds, attached or fused; 1 as it was trained.
    var strength: Double { get set }

    /// What of its file has no network here and is left out, for people: "4 modules of the text encoder".
    var leftOut: String? { get }

    /// Starts to change what the model computes.
    func attach() throws

    /// Leaves the model as it was.
    func detach()

    /// Adds the adapter to the model's weights for good. It must not be attached.
    func fuse() throws

    /// Adds all that is needed to use the adapter elsewhere.
    func write(to contents: inout AdapterContents) throws
}

extension Adapter {
    /// Does nothing: most adapters have no dropout.
    public func setDropout(_ draws: Draws?) {}
    /// Nil: nothing of the file is left out.
    public var leftOut: String? { nil }
}
