import CTorch
import Failures

extension Tensor {
    /// Whether a backward pass goes through this tensor: it is a trainable leaf, or was computed from one.
    public var requiresGrad: Bool { facts.requires_grad }

    /// Makes a leaf trainable, or frozen again.
    public func setRequiresGrad(_ value: Bool) throws {
        let engine = try Engine.shared()
        try engine.check(engine.table.pointee.set_requires_grad(handle, value))
    }

    /// The gradient that backward passes have left on a leaf.
    public func gradient() throws -> Tensor? {
        let engine = try Engine.shared()
        var out: OpaquePointer?
        try engine.check(engine.table.pointee.gradient(handle, &out))
        return out.map(Tensor.init(owning:))
    }

    /// Replaces the gradient of a leaf, or removes it.
    /// - Throws: where the gradient is not of this tensor's shape, type and device, which an optimizer trusts.
    public func setGradient(_ gradient: Tensor?) throws {
        if let gradient, gradient.shape != shape || gradient.dtype != dtype || gradient.device != device {
            throw Failure.run("a gradient that does not fit", expected: "\(self)", got: "\(gradient)")
        }
        let engine = try Engine.shared()
        try engine.check(engine.table.pointee.set_gradient(handle, gradient?.handle))
    }

    /// Adds the gradients of this tensor to the leaves it depends on.
    /// - Parameter gradient: of this tensor's shape; may be left out for a single number.
    public func backward(_ gradient: Tensor? = nil) throws {
        let engine = try Engine.shared()
        try engine.check(engine.table.pointee.backward([handle], [gradient?.handle], 1), "backward")
        withExtendedLifetime(gradient) {}
    }
}

extension Tensor {
    /// Has `body` run whenever a backward pass has added to this leaf's gradient, within that pass; nil takes it away.
    ///
    /// It may take the gradient, remove it, and change the leaf once nothing else of the pass needs it. What it throws ends
    /// the pass.
    public func setGradientHook(_ body: (() throws -> Void)?) throws {
        let engine = try Engine.shared()
        let context = body.map { Unmanaged.passRetained(HookBody($0)).toOpaque() }
        try engine.check(
            engine.table.pointee.set_gradient_hook(
                handle, context == nil ? nil : runGradientHook,
                { if let body = $0 { Unmanaged<HookBody>.fromOpaque(body).release() } }, context))
    }
}

private final class HookBody {
    let run: () throws -> Void
    init(_ run: @escaping () throws -> Void) { self.run = run }
}

private let runGradientHook: CTorchGradientHook = { context, message, capacity in
    guard let context else { return 1 }
    do {
        try Unmanaged<HookBody>.fromOpaque(context).takeUnretainedValue().run()
        return 0
    } catch {
        return tell(error, in: message, capacity)
    }
}

/// Writes what went wrong where the engine looks for it.
/// - Returns: the status that says so.
private func tell(_ error: any Error, in message: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int32 {
    let text = Array("\(error)".utf8CString.prefix(max(0, capacity - 1)))
    for (index, byte) in text.enumerated() { message?[index] = byte }
    message?[text.count] = 0
    return (error as? Failure)?.lacksMemory == true ? CTORCH_NO_MEMORY : 1
}

/// Runs `body` without recording a graph; a graph already made is not touched.
public func withoutGradients<Result>(_ body: () throws -> Result) throws -> Result {
    try withGradients(enabled: false, body)
}

/// Runs `body` with the graph switched on or off on this thread.
public func withGradients<Result>(enabled: Bool, _ body: () throws -> Result) throws -> Result {
    let table = try Engine.shared().table
    let before = table.pointee.grad_enabled()
    table.pointee.set_grad_enabled(enabled)
    defer { table.pointee.set_grad_enabled(before) }
    return try body()
}

/// Whether operations on this thread record a graph.
public func gradientsEnabled() throws -> Bool { try Engine.shared().table.pointee.grad_enabled() }

/// Makes `outputs`, computed under `withoutGradients`, depend on `inputs` by a backward pass written in Swift.
///
/// - Parameter backward: from the gradients of the outputs (nil where one has none) to those of the inputs, in order
///   (nil where one needs none). It may run on another thread.
public func recordNode(
    inputs: [Tensor], outputs: [Tensor], backward: @escaping ([Tensor?]) throws -> [Tensor?]
) throws {
    let engine = try Engine.shared()
    let context = Unmanaged.passRetained(NodeBody(backward))
    let status = engine.table.pointee.record(
        inputs.map(\.handle), Int32(inputs.count), outputs.map(\.handle), Int32(outputs.count), runNodeBackward,
        { if let body = $0 { Unmanaged<NodeBody>.fromOpaque(body).release() } }, context.toOpaque())
    withExtendedLifetime((inputs, outputs)) {}
    try engine.check(status, "record")
}

private final class NodeBody {
    let backward: ([Tensor?]) throws -> [Tensor?]
    init(_ backward: @escaping ([Tensor?]) throws -> [Tensor?]) { self.backward = backward }
}

private let runNodeBackward: CTorchBackward = {
    context, incoming, incomingCount, outgoing, outgoingCount, message, capacity in
    guard let context else { return 1 }
    let body = Unmanaged<NodeBody>.fromOpaque(context).takeUnretainedValue()
    do {
        let gradients: [Tensor?] = (0..<Int(incomingCount)).map { index in
            guard let handle = incoming?[index] else { return nil }
            engineTable.pointee.retain(handle)
            return Tensor(owning: handle)
        }
        let results = try body.backward(gradients)
        for (index, gradient) in results.prefix(Int(outgoingCount)).enumerated() {
            guard let gradient else { continue }
            engineTable.pointee.retain(gradient.handle)
            outgoing?[index] = gradient.handle
        }
        return 0
    } catch {
        return tell(error, in: message, capacity)
    }
}

/// Runs `body` keeping only its inputs; the backward pass runs it again to get what is between.
///
/// Trainable leaves that `body` uses but that are not among `inputs` get their gradients too. Costs one more forward
/// pass, where anything in it wants a gradient; saves all activations inside `body`. `body` must be deterministic.
/// - Parameter after: runs once its leaves have their gradients.
public func checkpointed(
    _ inputs: [Tensor], after: (() throws -> Void)? = nil, _ body: @escaping ([Tensor]) throws -> Tensor
) throws -> Tensor {
    guard try gradientsEnabled() else { return try body(inputs) }
    // Where no input wants a gradient, a graph tells whether a leaf inside `body` does.
    let inputsWantGradients = inputs.contains(where: \.requiresGrad)
    let computed = try withGradients(enabled: !inputsWantGradients) { try body(inputs) }
    guard inputsWantGradients || computed.requiresGrad else { return computed }
    let output = try computed.detached()
    // An anchor that wants a gradient keeps the node in the graph where only leaves inside `body` want one.
    let anchor = try Tensor([Float(0)])
    try anchor.setRequiresGrad(true)
    try recordNode(inputs: inputs + [anchor], outputs: [output]) { gradients in
        guard let gradient = gradients[0] else { return [] }
        let again = try inputs.map { input in
            let leaf = try input.detached()
            if input.requiresGrad { try leaf.setRequiresGrad(true) }
            return leaf
        }
        let output = try withGradients(enabled: true) { try body(again) }
        if output.requiresGrad { try output.backward(gradient) }
        try after?()
        return try again.map { try $0.requiresGrad ? $0.gradient() : nil }
    }
    return output
}

/// Runs `body`, and where `isOn` keeps only `x` for the backward pass.
public func checkpointed(
    if isOn: Bool, _ x: Tensor, _ body: @escaping (Tensor) throws -> Tensor
) throws -> Tensor {
    try isOn ? checkpointed([x]) { try body($0[0]) } : body(x)
}
