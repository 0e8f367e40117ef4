import Optimization

/// What a run will have resident of memory, in bytes, by part, pages of mapped files among them.
///
/// What each part is counted by stands with it: weights and what is trained here, activations in ``StageActivations`` and,
/// without gradients, in ``StageForward``, the networks around a stage in ``SideNetworks``.
/// `Tests/Peers/checks/plan_memory.py` holds the sum against what runs take.
struct MemoryEstimate {
    /// From when on, or while what, bytes are taken.
    enum Phase: String, CaseIterable {
        /// Once all networks are there.
        case loaded
        /// Before the first update.
        case optimizer
        /// While an update is made.
        case update
        /// While a preview is made, between two updates.
        case preview
        /// While the validation loss is measured, before the first update and between two.
        case validation

        /// Those that are never at the same time.
        static let moments: [Phase] = [.update, .preview, .validation]
    }

    struct Part {
        let name: String
        let bytes: Int
        let phase: Phase
        /// Whether these are pages of mapped files, which the system can drop and read again.
        var isMapped = false
    }

    private(set) var parts: [Part] = []
    /// Host memory that a device reads by itself, in bytes; it is none of the device's.
    var pinned = 0

    /// The most at a time.
    var bytes: Int { bytes(at: peak) }
    /// The moment that takes the most.
    var peak: Phase { Phase.moments.max { bytes(of: $0) < bytes(of: $1) } ?? .update }
    var mapped: Int { parts.filter(\.isMapped).reduce(0) { $0 + $1.bytes } }
    /// What has to be there: all but mapped files.
    var needed: Int { bytes - mapped }

    /// All that is there at a moment: what was loaded and the optimizer's beside its own.
    func bytes(at moment: Phase) -> Int { bytes(of: .loaded) + bytes(of: .optimizer) + bytes(of: moment) }

    /// What is taken from a phase on, or while it is.
    func bytes(of phase: Phase) -> Int { parts.filter { $0.phase == phase }.reduce(0) { $0 + $1.bytes } }

    func bytes(named name: String) -> Int { parts.filter { $0.name == name }.reduce(0) { $0 + $1.bytes } }

    mutating func add(_ name: String, _ bytes: Int, from phase: Phase, isMapped: Bool = false) {
        if bytes > 0 { parts.append(Part(name: name, bytes: bytes, phase: phase, isMapped: isMapped)) }
    }

    /// What parts are called that an update does not leave for others to use again.
    static let (data, decoding, waiting) = ("data", "decoding", "kept by the allocator")

    /// Tensors that an update takes and gives back: the allocator keeps their blocks for what comes next.
    var passing: Int {
        parts.filter { $0.phase == .update && ![Self.data, Self.decoding, Self.waiting].contains($0.name) }
            .reduce(0) { $0 + $1.bytes }
    }

    /// Freed blocks that the engine's allocator keeps to use again.
    static let mostWaiting = 16 << 20
    /// What malloc keeps of small ones.
    static let mostWaitingSmall = 64 << 20

    /// What the program and libtorch take by themselves, and what is resident of their libraries; measured.
    mutating func addProgram() {
        add("program", 75 << 20, from: .loaded)
        add("libraries", 98 << 20, from: .loaded, isMapped: true)
    }

    /// Weights, gradients, the optimizer's state and the running mean of what is trained.
    ///
    /// Steps within the backward pass have the gradients of one block at a time, for which the largest four tensors stand;
    /// parts of bfloat16 gradients are added up in float32; a bfloat16 tensor is stepped as float32, with its gradient, and
    /// Adafactor has as much again of the largest tensor while it steps it.
    mutating func addTrained(_ shapes: [[Int]], _ run: RunConfiguration) {
        let counts = shapes.map { $0.reduce(1, *) }
        // Of a stage that processes share each has its part.
        let isShared = run.sharesStage && run.trainsWhole
        let sharers = isShared ? run.processes : 1
        let (parameters, size) = ((counts.reduce(0, +) + sharers - 1) / sharers, run.weightsDType.size)
        add("trained weights", size * parameters, from: .loaded)
        add(
            "optimizer", shapes.reduce(0) { $0 + run.optimizer.stateBytes($1, sharedBy: sharers) }, from: .optimizer)
        if run.average != nil { add("averaged weights", 4 * parameters, from: .optimizer) }

        let largest = counts.sorted(by: >).prefix(4)
        // Processes add them up in float32: what they share in parts, the rest in messages, each a copy.
        let isSent = run.processes > 1 && !isShared && !run.isFused
        let summed = isShared || isSent && run.accumulation == 1 ? 4 : size
        add("gradients", summed * (run.isFused ? largest.reduce(0, +) : parameters), from: .update)
        if isSent {
            add("messages", 4 * min(parameters, GradientSums.mostUnderWay * GradientSums.bucketSize), from: .update)
        }
        if summed < 4, run.accumulation > 1 { add("summed gradients", 4 * parameters, from: .update) }
        let widened = size < 4 ? 8 : 0
        let stepping = run.optimizer.name == Adafactor.name ? 8 : 0
        add("step", (widened + stepping) * (largest.first ?? 0) / sharers, from: .update)
    }
}
